//! The `compare` command on outcome files: its output, files and exit codes.

mod harness;

use std::{fs, path::Path, time::Duration};

use chrono::TimeDelta;
use harness::{ProgramOutput, first_line, loadtest, new_test_folder};
use plant_loadtest::{
    distribution::Distribution,
    outcome::{Counts, Outcome},
    report::json,
};

/// Noise between runs, in thousandths of the latency.
const NOISE: [f64; 6] = [3.0, -5.0, 1.0, 6.0, -2.0, -4.0];

/// Writes the outcomes of `count` runs to `folder` and returns their file names. `GET /search` takes
/// `ms` and `GET /list` 20 ms, plus `noise` times [`NOISE`]. The runs are ten minutes apart; the
/// first one starts `first_minute` minutes after the example.
fn write_runs(
    folder: &Path,
    name: &str,
    count: usize,
    first_minute: i64,
    ms: f64,
    noise: f64,
) -> Vec<String> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outcome.json");
    let example = json::read(&example).unwrap();
    let files = (0..count).map(|run| {
        let mut outcome = example.clone();
        let minutes = first_minute + 10 * i64::try_from(run).unwrap();
        outcome.started_at += TimeDelta::minutes(minutes);
        let factor = 1.0 + noise * NOISE[run % NOISE.len()] / 1000.0;
        let endpoints = [("GET /search", ms * factor), ("GET /list", 20.0 * factor)];
        set_latencies(&mut outcome, &endpoints);
        let file = format!("{name}-{run}.json");
        fs::write(folder.join(&file), json::render(&outcome)).unwrap();
        file
    });
    files.collect()
}

/// Replaces the endpoints of `outcome` by `endpoints`, pairs of a name and the latency of all its
/// requests in milliseconds.
fn set_latencies(outcome: &mut Outcome, endpoints: &[(&str, f64)]) {
    outcome.endpoints.truncate(endpoints.len());
    outcome.failures.clear();
    for (endpoint, (name, ms)) in outcome.endpoints.iter_mut().zip(endpoints) {
        (*name).clone_into(&mut endpoint.name);
        let latency = Duration::from_secs_f64(ms / 1000.0);
        for cell in &mut endpoint.cells {
            cell.counts = Counts { sent: 10, succeeded: 10, ..Counts::default() };
            cell.latency = Distribution::default();
            (0..10).for_each(|_| cell.latency.record(latency));
        }
    }
}

/// Compares in `folder` without a measured noise floor, which makes the margin 5 %.
fn compare(folder: &Path, base: &[String], new: &[String], options: &[&str]) -> ProgramOutput {
    let mut arguments = vec!["compare", "--noise-floor-file", "floor.json"];
    arguments.extend(options);
    arguments.extend(base.iter().map(String::as_str));
    arguments.push("--");
    arguments.extend(new.iter().map(String::as_str));
    loadtest(folder, &arguments)
}

/// Returns the last word of the table row of `endpoint`.
fn change_of(output: &ProgramOutput, endpoint: &str) -> String {
    let line = output.stdout.lines().find(|line| line.trim_start().starts_with(endpoint)).unwrap();
    line.split_whitespace().next_back().unwrap().to_owned()
}

#[test]
fn slower_runs_fail_and_the_endpoint_is_named() {
    let folder = new_test_folder("compare-slower");
    let base = write_runs(&folder, "base", 5, 0, 60.0, 1.0);
    let new = write_runs(&folder, "new", 5, 5, 66.0, 1.0);
    let options = ["--markdown", "change.md", "--json", "change.json"];
    let output = compare(&folder, &base, &new, &options);
    assert_eq!(output.exit_code, 1, "{}{}", output.stdout, output.stderr);
    assert!(
        first_line(&output).starts_with("REGRESSED: slower: GET /search ("),
        "{}",
        output.stdout
    );
    assert_eq!(change_of(&output, "GET /search"), "REGRESSED");
    assert_eq!(change_of(&output, "GET /list"), "EQUIVALENT");
    assert!(!output.stdout.contains("advisory"), "{}", output.stdout);
    assert!(output.outcome.is_none(), "compare writes no outcome");

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
fn faster_runs_are_improved() {
    let folder = new_test_folder("compare-faster");
    let base = write_runs(&folder, "base", 5, 0, 66.0, 1.0);
    let new = write_runs(&folder, "new", 5, 5, 60.0, 1.0);
    let output = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("IMPROVED: faster: GET /search;"), "{}", output.stdout);
}

#[test]
fn runs_within_the_margin_are_equivalent() {
    let folder = new_test_folder("compare-equivalent");
    let base = write_runs(&folder, "base", 5, 0, 60.0, 1.0);
    let new = write_runs(&folder, "new", 6, 5, 60.0, -1.0);
    let output = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("EQUIVALENT: all 2 endpoints"), "{}", output.stdout);
}

#[test]
fn noisy_runs_are_inconclusive() {
    let folder = new_test_folder("compare-noisy");
    let base = write_runs(&folder, "base", 5, 0, 60.0, 60.0);
    let new = write_runs(&folder, "new", 5, 5, 61.0, -60.0);
    let output = compare(&folder, &base, &new, &[]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("INCONCLUSIVE: "), "{}", output.stdout);
    assert_eq!(compare(&folder, &base, &new, &["--strict"]).exit_code, 1);
}

#[test]
fn one_run_per_side_is_advisory_and_never_fails() {
    let folder = new_test_folder("compare-advisory");
    let base = write_runs(&folder, "base", 1, 0, 60.0, 1.0);
    let new = write_runs(&folder, "new", 1, 5, 180.0, 1.0);
    let output = compare(&folder, &base, &new, &["--strict"]);
    assert_eq!(output.exit_code, 0, "{}{}", output.stdout, output.stderr);
    assert!(first_line(&output).starts_with("REGRESSED (advisory): "), "{}", output.stdout);
    assert!(
        output.stdout.contains("need 5 per side; no result is statistically significant"),
        "{}",
        output.stdout
    );
}

#[test]
fn runs_of_different_loads_and_broken_files_are_rejected() {
    let folder = new_test_folder("compare-rejected");
    let base = write_runs(&folder, "base", 5, 0, 60.0, 1.0);
    let mut other = json::read(&folder.join(&base[0])).unwrap();
    other.load.stages[1].to_users = 51;
    fs::write(folder.join("other.json"), json::render(&other)).unwrap();
    let output = compare(&folder, &base, &["other.json".into()], &[]);
    assert_eq!(output.exit_code, 2);
    assert!(output.stderr.contains("not comparable: base-0.json is"), "{}", output.stderr);
    fs::write(folder.join("broken.json"), "{").unwrap();
    let output = compare(&folder, &base, &["broken.json".into()], &[]);
    assert_eq!(output.exit_code, 2);
    assert!(output.stderr.contains("broken.json cannot be read"), "{}", output.stderr);
}

#[test]
fn a_history_finds_the_first_slower_run_and_exports_every_run() {
    let folder = new_test_folder("compare-history");
    let before = write_runs(&folder, "before", 6, 0, 60.0, 1.0);
    let after = write_runs(&folder, "after", 6, 60, 69.0, 1.0);
    let mut arguments = vec!["compare", "--history", "--csv", "history.csv"];
    // The order of the arguments does not matter.
    arguments.extend(after.iter().chain(&before).map(String::as_str));
    let output = loadtest(&folder, &arguments);
    assert_eq!(output.exit_code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("GET /search +15.0 % from"), "{}", output.stdout);
    assert!(output.stdout.contains("(after-0.json, build "), "{}", output.stdout);

    let mut table = csv::Reader::from_path(folder.join("history.csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let column = |name: &str| header.iter().position(|title| title == name).unwrap();
    assert_eq!(rows.len(), 12 * 2, "one row per run and endpoint");
    let changed = rows.iter().filter(|row| !row[column("change_percent")].is_empty());
    let changed: Vec<(&str, &str)> =
        changed.map(|row| (&row[column("file")], &row[column("endpoint")])).collect();
    assert_eq!(changed, [("after-0.json", "GET /search")]);
    assert_eq!(&rows[0][column("file")], "before-0.json");
}
