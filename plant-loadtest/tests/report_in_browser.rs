//! Opens HTML reports in headless Chromium, on a wide screen and on a phone: no error, no request, every
//! chart drawn, nothing wider than the screen. Without Chromium (Debian package `chromium`) it prints that
//! nothing was checked.

#[expect(dead_code, reason = "these tests use a part of it")]
mod reported;

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use plant_loadtest::outcome::{Ended, Outcome};
use serde::Deserialize;

use reported::{example, leave_one_request, lengthen, make_hostile, page};

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Widths of the screens in pixels.
const WIDTHS: [u32; 2] = [1280, 390];

/// Collects errors; runs before the page's own script.
const BEFORE: &str = "<script>
  var errors = [];
  function fail(reason) { errors.push(String(reason)); }
  window.addEventListener('error', function (event) { fail(event.message); });
  document.addEventListener('securitypolicyviolation', function (event) { fail('request to ' + event.blockedURI); });
  ['error', 'warn'].forEach(function (name) { console[name] = fail; });
</script>";

/// Checks the page, and sends the result to the page around it.
const AFTER: &str = "<script>
  document.querySelectorAll('details').forEach(function (details) { details.open = true; });
  var charts = document.querySelectorAll('[data-chart]'), drawn = 0;
  charts.forEach(function (chart) {
    var area = chart.querySelector('.area').getBoundingClientRect();
    var shapes = Array.prototype.filter.call(chart.querySelectorAll('svg g path, .count, [class^=h]'), function (path) {
      var box = path.getBoundingClientRect();
      return path.getAttribute('d').length > 4 && box.left > area.left - 9 && box.right < area.right + 9
        && box.top > area.top - 9 && box.bottom < area.bottom + 9;
    });
    if (area.width > 200 && area.height > 100 && shapes.length > 0) drawn += 1;
    else fail('not drawn: ' + chart.textContent.slice(0, 60));
    var labels = Array.prototype.map.call(chart.querySelectorAll('.xs span'), function (label) { return label.getBoundingClientRect(); });
    labels.forEach(function (label, index) { if (index && label.left < labels[index - 1].right) fail('labels overlap: ' + chart.textContent.slice(0, 60)); });
  });
  var tips = 0;
  charts.forEach(function (chart) {
    var area = chart.querySelector('.area'), box = area.getBoundingClientRect();
    area.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 }));
    if (document.getElementById('tip').textContent.length > 3) tips += 1;
    area.dispatchEvent(new PointerEvent('pointerleave'));
  });
  parent.postMessage({
    name: new URLSearchParams(location.search).get('name'),
    charts: charts.length,
    drawn: drawn,
    tips: tips,
    requests: performance.getEntriesByType('resource').map(function (entry) { return entry.name; }),
    too_wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    copy: !document.getElementById('copy').hidden,
    errors: errors
  }, '*');
</script>";

#[derive(Debug, Deserialize)]
struct Seen {
    name: String,
    charts: usize,
    drawn: usize,
    tips: usize,
    requests: Vec<String>,
    too_wide: i32,
    copy: bool,
    errors: Vec<String>,
}

/// Returns the program of the browser in `PATH`.
fn browser() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let mut files =
        BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.find(|file| file.is_file())
}

fn pages() -> Vec<(&'static str, String)> {
    let changed = |change: fn(&mut Outcome)| {
        let mut outcome = example();
        change(&mut outcome);
        outcome
    };
    let failing = changed(|outcome| {
        for threshold in &mut outcome.sla.thresholds {
            threshold.limit.value /= 100.0;
        }
        for cell in &mut outcome.endpoints[1].cells {
            cell.counts.server_errors = cell.counts.succeeded;
            cell.counts.sent += cell.counts.succeeded;
        }
    });
    let hour = changed(|outcome| lengthen(outcome, 3600, 1));
    let gaps = changed(|outcome| {
        leave_one_request(outcome, 0, 9);
        for endpoint in &mut outcome.endpoints {
            endpoint.cells.retain(|cell| !(12..20).contains(&cell.second));
        }
        outcome.samples.retain(|sample| !(12..20).contains(&sample.second));
    });
    let killed = changed(|outcome| (outcome.ended, outcome.duration_s) = (Ended::Killed, 7.2));
    let empty = changed(|outcome| {
        outcome.endpoints.clear();
        outcome.samples.clear();
    });
    let hostile = changed(make_hostile);
    vec![
        ("example", page(&example(), None)),
        ("baseline", page(&failing, Some(&hour))),
        ("hour", page(&hour, None)),
        ("gaps", page(&gaps, None)),
        ("killed", page(&killed, None)),
        ("empty", page(&empty, None)),
        ("hostile", page(&hostile, Some(&hostile))),
    ]
}

/// Opens all pages, and returns what they have seen.
fn open(browser: &Path, folder: &Path, pages: &[(&str, String)]) -> Vec<Seen> {
    let mut frames = String::new();
    for (name, page) in pages {
        let page = page.replacen("<title>", &format!("{BEFORE}<title>"), 1);
        let end = page.rfind("</body>").unwrap();
        let page = format!("{}{AFTER}{}", &page[..end], &page[end..]);
        fs::write(folder.join(format!("{name}.html")), page).unwrap();
        for width in WIDTHS {
            frames += &format!(
                "<iframe src=\"{name}.html?name={name}-{width}\" width=\"{width}\" height=\"900\"></iframe>\n"
            );
        }
    }
    let around = format!(
        "<!doctype html><pre id=\"seen\"></pre><script>
           window.addEventListener('message', function (event) {{
             document.getElementById('seen').textContent += encodeURIComponent(JSON.stringify(event.data)) + '\\n';
           }});
         </script>{frames}"
    );
    let all = folder.join("all.html");
    fs::write(&all, around).unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--virtual-time-budget=20000", "--timeout=60000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", all.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    let seen = dom.split("<pre id=\"seen\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let lines = seen.unwrap_or_else(|| panic!("{dom}")).lines();
    let decode =
        |line: &str| percent_encoding::percent_decode_str(line).decode_utf8().unwrap().into_owned();
    lines.map(|line| serde_json::from_str(&decode(line)).unwrap()).collect()
}

#[test]
fn a_browser_draws_every_chart_without_an_error_and_without_a_request() {
    let Some(browser) = browser() else {
        // The test harness would hide the output of a macro.
        let _ = writeln!(
            std::io::stderr(),
            "NOT CHECKED: no Chromium found, HTML reports were not opened"
        );
        return;
    };
    let folder = env::temp_dir().join(format!("plant-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let pages = pages();
    let mut seen = open(&browser, &folder, &pages);
    fs::remove_dir_all(&folder).unwrap();
    seen.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(seen.len(), pages.len() * WIDTHS.len(), "{seen:#?}");
    for one in &seen {
        let (name, _) = one.name.rsplit_once('-').unwrap();
        let (_, page) = pages.iter().find(|(known, _)| *known == name).unwrap();
        let charts = page.matches("data-chart=").count();
        assert_eq!((one.charts, one.drawn, one.tips), (charts, charts, charts), "{one:#?}");
        assert!(one.errors.is_empty() && one.requests.is_empty(), "{one:#?}");
        assert!(one.too_wide <= 0 && one.copy, "{one:#?}");
    }
}
