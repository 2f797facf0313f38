//! `compare` on files of runs, as somebody types it: what it says, writes and exits with.

mod harness;

use std::{fs, path::Path, time::Duration};

use chrono::TimeDelta;
use harness::{Done, first_line, folder, loadtest};
use plant_loadtest::{
    distribution::Distribution,
    outcome::{Counts, Outcome},
    report::json,
};

/// How much runs differ without a reason, in thousandths.
const WEATHER: [f64; 6] = [3.0, -5.0, 1.0, 6.0, -2.0, -4.0];

/// Runs in which `GET /search` takes `ms` and `GET /list` 20 ms, give or take `spread` times the
/// usual weather. They start `first` minutes after each other's, ten minutes apart.
fn runs(folder: &Path, name: &str, count: usize, first: i64, ms: f64, spread: f64) -> Vec<String> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outcome.json");
    let example = json::read(&example).unwrap();
    let files = (0..count).map(|run| {
        let mut outcome = example.clone();
        let minutes = first + 10 * i64::try_from(run).unwrap();
        outcome.started_at += TimeDelta::minutes(minutes);
        let weather = 1.0 + spread * WEATHER[run % WEATHER.len()] / 1000.0;
        answer(&mut outcome, &[("GET /search", ms * weather), ("GET /list", 20.0 * weather)]);
        let file = format!("{name}-{run}.json");
        fs::write(folder.join(&file), json::render(&outcome)).unwrap();
        file
    });
    files.collect()
}

/// Leaves `outcome` with these endpoints, each of which took so many milliseconds every time.
fn answer(outcome: &mut Outcome, endpoints: &[(&str, f64)]) {
    outcome.endpoints.truncate(endpoints.len());
    outcome.failures.clear();
    for (endpoint, (name, ms)) in outcome.endpoints.iter_mut().zip(endpoints) {
        (*name).clone_into(&mut endpoint.name);
        let micros = Duration::from_secs_f64(ms / 1000.0);
        for second in &mut endpoint.seconds {
            second.counts = Counts { sent: 10, succeeded: 10, ..Counts::default() };
            second.latency = Distribution::default();
            (0..10).for_each(|_| second.latency.record(micros));
        }
    }
}

/// Compares in `folder`, with no noise floor known, which makes the margin 5 %.
fn compare(folder: &Path, base: &[String], new: &[String], options: &[&str]) -> Done {
    let mut arguments = vec!["compare", "--noise-floor-file", "floor.json"];
    arguments.extend(options);
    arguments.extend(base.iter().map(String::as_str));
    arguments.push("--");
    arguments.extend(new.iter().map(String::as_str));
    loadtest(folder, &arguments)
}

/// The last word of the endpoint's line.
fn verdict_on(done: &Done, endpoint: &str) -> String {
    let line = done.stdout.lines().find(|line| line.trim_start().starts_with(endpoint)).unwrap();
    line.split_whitespace().next_back().unwrap().to_owned()
}

#[test]
fn slower_runs_fail_and_name_the_endpoint() {
    let folder = folder("compare-slower");
    let base = runs(&folder, "base", 5, 0, 60.0, 1.0);
    let new = runs(&folder, "new", 5, 5, 66.0, 1.0);
    let options = ["--markdown", "change.md", "--json", "change.json"];
    let done = compare(&folder, &base, &new, &options);
    assert_eq!(done.exit, 1, "{}{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("REGRESSED: slower: GET /search ("), "{}", done.stdout);
    assert_eq!(verdict_on(&done, "GET /search"), "REGRESSED");
    assert_eq!(verdict_on(&done, "GET /list"), "EQUIVALENT");
    assert!(!done.stdout.contains("advisory"), "{}", done.stdout);
    assert!(done.outcome.is_none(), "a comparison is no run");

    let markdown = fs::read_to_string(folder.join("change.md")).unwrap();
    let row = markdown.lines().find(|line| line.contains("`GET /search`")).unwrap();
    assert!(row.contains("+10.0 %") && row.ends_with("**REGRESSED** |"), "{row}");
    let text = fs::read_to_string(folder.join("change.json")).unwrap();
    let comparison: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(comparison["change"], "REGRESSED");
    assert_eq!(comparison["advisory"], false);
    assert_eq!(comparison["endpoints"][1]["base_runs"], 5);
}

#[test]
fn quicker_runs_are_an_improvement() {
    let folder = folder("compare-quicker");
    let base = runs(&folder, "base", 5, 0, 66.0, 1.0);
    let new = runs(&folder, "new", 5, 5, 60.0, 1.0);
    let done = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("IMPROVED: faster: GET /search;"), "{}", done.stdout);
}

#[test]
fn runs_alike_within_the_margin_are_equivalent() {
    let folder = folder("compare-alike");
    let base = runs(&folder, "base", 5, 0, 60.0, 1.0);
    let new = runs(&folder, "new", 6, 5, 60.0, -1.0);
    let done = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("EQUIVALENT: all 2 endpoints"), "{}", done.stdout);
}

#[test]
fn runs_that_differ_wildly_tell_nothing() {
    let folder = folder("compare-wild");
    let base = runs(&folder, "base", 5, 0, 60.0, 60.0);
    let new = runs(&folder, "new", 5, 5, 61.0, -60.0);
    let done = compare(&folder, &base, &new, &[]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("INCONCLUSIVE: "), "{}", done.stdout);
    assert_eq!(compare(&folder, &base, &new, &["--strict"]).exit, 1);
}

#[test]
fn one_run_a_side_is_a_hint_and_fails_nothing() {
    let folder = folder("compare-hint");
    let base = runs(&folder, "base", 1, 0, 60.0, 1.0);
    let new = runs(&folder, "new", 1, 5, 180.0, 1.0);
    let done = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(done.exit, 0, "{}{}", done.stdout, done.stderr);
    assert!(first_line(&done).starts_with("REGRESSED (advisory): "), "{}", done.stdout);
    assert!(done.stdout.contains("take 5 a side; nothing here is proven"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = folder("compare-refused");
    let base = runs(&folder, "base", 5, 0, 60.0, 1.0);
    let mut other = json::read(&folder.join(&base[0])).unwrap();
    other.load.stages[1].to_users = 51;
    fs::write(folder.join("other.json"), json::render(&other)).unwrap();
    let done = compare(&folder, &base, &["other.json".into()], &[]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains("not comparable: base-0.json is"), "{}", done.stderr);
    fs::write(folder.join("broken.json"), "{").unwrap();
    let done = compare(&folder, &base, &["broken.json".into()], &[]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains("broken.json cannot be read"), "{}", done.stderr);
}

#[test]
fn a_history_finds_the_run_from_which_on_it_was_slower_and_exports_every_run() {
    let folder = folder("compare-history");
    let before = runs(&folder, "before", 6, 0, 60.0, 1.0);
    let after = runs(&folder, "after", 6, 60, 69.0, 1.0);
    let mut arguments = vec!["compare", "--history", "--csv", "history.csv"];
    // In whatever order the shell lists them.
    arguments.extend(after.iter().chain(&before).map(String::as_str));
    let done = loadtest(&folder, &arguments);
    assert_eq!(done.exit, 0, "{}", done.stderr);
    assert!(done.stdout.contains("GET /search +15.0 % from"), "{}", done.stdout);
    assert!(done.stdout.contains("(after-0.json, build "), "{}", done.stdout);

    let mut table = csv::Reader::from_path(folder.join("history.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let column = |name: &str| header.iter().position(|title| title == name).unwrap();
    assert_eq!(rows.len(), 12 * 2, "a line for each run and endpoint");
    let changed = rows.iter().filter(|row| !row[column("change_percent")].is_empty());
    let changed: Vec<(&str, &str)> =
        changed.map(|row| (&row[column("file")], &row[column("endpoint")])).collect();
    assert_eq!(changed, [("after-0.json", "GET /search")]);
    assert_eq!(&rows[0][column("file")], "before-0.json");
}
