// Shows the values of a chart at the pointer, marks the same time in all charts, and copies the command
// line. Optional: the page is complete without it.
(function () {
  var data = JSON.parse(document.getElementById("data").textContent);
  var tip = document.getElementById("tip");
  var sections = Array.prototype.slice.call(document.querySelectorAll("[data-chart]"));

  function clock(seconds) {
    var s = Math.floor(seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return (h ? h + "h" : "") + (h || m ? m + "m" : "") + (s % 60) + "s";
  }

  function ms(value) {
    return (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)) + " ms";
  }

  function append(parent, tag, text, color) {
    var element = document.createElement(tag);
    if (color) element.className = color;
    element.textContent = text;
    parent.appendChild(element);
    return element;
  }

  function row(name, value, color) {
    var line = append(tip, "div", "");
    if (color) append(line, "i", "", color);
    append(line, "span", name);
    append(line, "em", value);
  }

  function bounds(range, share, step) {
    var factor = Math.pow(range[1] / range[0], 1 / step), low = range[0] * Math.pow(factor, Math.floor(share * step));
    return ms(low) + " to " + ms(low * factor);
  }

  function heading(at) {
    var stage = data.stages.filter(function (stage) { return at >= stage[1] && at < stage[2]; })[0];
    append(tip, "b", clock(at) + (stage ? " · " + stage[0] : ""));
  }

  function mark(section, share) {
    var cursor = section.querySelector(".cursor");
    cursor.style.left = share * 100 + "%";
    cursor.style.opacity = 1;
  }

  function show(section, event) {
    var chart = data.charts[+section.dataset.chart], box = section.querySelector(".area").getBoundingClientRect();
    var share = Math.min(0.9999, Math.max(0, (event.clientX - box.left) / box.width));
    var height = Math.min(0.9999, Math.max(0, 1 - (event.clientY - box.top) / box.height)), at = share * data.seconds;
    tip.textContent = "";
    hideCursors();
    if (chart.h) {
      mark(section, share);
      append(tip, "b", bounds(chart.h, share, chart.v.length));
      row("requests", chart.v[Math.floor(share * chart.v.length)]);
    } else {
      sections.forEach(function (other) { if (!data.charts[+other.dataset.chart].h) mark(other, share); });
      heading(at);
      if (chart.m) row("latency", bounds(chart.m, height, 24));
      (chart.l || []).forEach(function (line) {
        var value = line.v[Math.floor(at / line.w)];
        row(line.n, value === null || value === undefined ? "–" : value + " " + chart.u, line.c);
      });
    }
    tip.style.display = "block";
    var width = tip.offsetWidth, over = event.clientX + 16 + width > document.documentElement.clientWidth;
    tip.style.left = Math.max(4, over ? event.clientX - 16 - width : event.clientX + 16) + "px";
    tip.style.top = Math.min(event.clientY + 12, window.innerHeight - tip.offsetHeight - 4) + "px";
  }

  function hideCursors() {
    sections.forEach(function (section) { section.querySelector(".cursor").style.opacity = 0; });
  }

  function hide() {
    tip.style.display = "none";
    hideCursors();
  }

  sections.forEach(function (section) {
    var area = section.querySelector(".area"), lines = section.querySelectorAll("svg > g");
    area.addEventListener("pointermove", function (event) { show(section, event); });
    area.addEventListener("pointerdown", function (event) { show(section, event); });
    area.addEventListener("pointerleave", hide);
    section.querySelectorAll(".legend span").forEach(function (item, index) {
      if (index >= lines.length) return;
      item.addEventListener("pointerenter", function () {
        lines.forEach(function (line, other) { line.style.opacity = other === index ? 1 : 0.15; });
      });
      item.addEventListener("pointerleave", function () {
        lines.forEach(function (line) { line.style.opacity = ""; });
      });
    });
  });

  // A link to an endpoint opens it.
  function open() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  }
  window.addEventListener("hashchange", open);
  open();

  var command = document.getElementById("command"), copy = document.getElementById("copy");
  function copied() {
    copy.textContent = "Copied";
    setTimeout(function () { copy.textContent = "Copy"; }, 2000);
  }
  function select() {
    var range = document.createRange();
    range.selectNodeContents(command);
    var selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }
  copy.hidden = false;
  copy.addEventListener("click", function () {
    // A page that is opened as a file may not use the clipboard in every browser.
    if (!navigator.clipboard) return select() && copied();
    navigator.clipboard.writeText(command.textContent).then(copied, function () { if (select()) copied(); });
  });
})();
