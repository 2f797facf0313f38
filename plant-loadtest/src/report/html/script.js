// Shows the values of a chart at the pointer and marks the same time in all charts. Optional: the
// page is complete without it.
(function () {
  var data = JSON.parse(document.getElementById("data").textContent);
  var tip = document.getElementById("tip");
  var sections = Array.prototype.slice.call(document.querySelectorAll("[data-chart]"));

  function clock(seconds) {
    var s = Math.round(seconds), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return (h ? h + "h" : "") + (h || m ? m + "m" : "") + (s % 60) + "s";
  }

  function nearest(points, at) {
    var best = null;
    points.forEach(function (point) {
      if (best === null || Math.abs(point[0] - at) < Math.abs(best[0] - at)) best = point;
    });
    return best;
  }

  function append(parent, tag, text, color) {
    var element = document.createElement(tag);
    if (color) element.className = color;
    element.textContent = text;
    parent.appendChild(element);
    return element;
  }

  function show(section, event) {
    var svg = section.querySelector("svg"), box = svg.getBoundingClientRect();
    var scale = svg.viewBox.baseVal.width / box.width;
    var left = +svg.dataset.left, right = +svg.dataset.right;
    var x = Math.min(right, Math.max(left, (event.clientX - box.left) * scale));
    var share = (x - left) / (right - left), at = share * data.seconds;
    sections.forEach(function (other) {
      var drawing = other.querySelector("svg"), cursor = drawing.querySelector(".cursor");
      var x = +drawing.dataset.left + share * (drawing.dataset.right - drawing.dataset.left);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.style.opacity = 1;
    });
    var stage = data.stages.filter(function (stage) { return at >= stage[1] && at < stage[2]; })[0];
    tip.textContent = "";
    append(tip, "b", clock(at) + (stage ? " · " + stage[0] : ""));
    var chart = data.charts[+section.dataset.chart];
    chart.lines.forEach(function (line) {
      var point = nearest(line.points, at);
      if (!point) return;
      var row = append(tip, "div", "");
      append(row, "i", "", line.color);
      append(row, "span", line.name);
      append(row, "em", point[1] + " " + chart.unit);
    });
    tip.style.display = "block";
    var width = tip.offsetWidth, over = event.clientX + 16 + width > document.documentElement.clientWidth;
    tip.style.left = Math.max(4, over ? event.clientX - 16 - width : event.clientX + 16) + "px";
    tip.style.top = Math.min(event.clientY + 12, window.innerHeight - tip.offsetHeight - 4) + "px";
  }

  function hide() {
    tip.style.display = "none";
    sections.forEach(function (section) { section.querySelector(".cursor").style.opacity = 0; });
  }

  sections.forEach(function (section) {
    var svg = section.querySelector("svg");
    svg.addEventListener("pointermove", function (event) { show(section, event); });
    svg.addEventListener("pointerdown", function (event) { show(section, event); });
    svg.addEventListener("pointerleave", hide);
    section.querySelectorAll(".legend span").forEach(function (item, index) {
      item.addEventListener("pointerenter", function () {
        svg.querySelectorAll(".line").forEach(function (line, other) {
          line.style.opacity = other === index ? 1 : 0.15;
        });
      });
      item.addEventListener("pointerleave", function () {
        svg.querySelectorAll(".line").forEach(function (line) { line.style.opacity = ""; });
      });
    });
  });
})();
