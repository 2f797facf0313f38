//! Compares the reports of a fixed outcome with the files in `tests/golden`.
//!
//! After an intended change run `UPDATE_GOLDEN=1 cargo test -p plant-loadtest --test golden`, review
//! the diff and commit it.

use std::{fs, path::Path};

use plant_loadtest::{
    journal,
    outcome::Outcome,
    report::{csv, html, json, junit, markdown, metrics, terminal},
    verdict::Verdict,
};

fn example() -> (Outcome, Verdict) {
    let outcome = json::read(&golden("outcome.json")).unwrap();
    let verdict = Verdict::judge(&outcome, &outcome.sla);
    (outcome, verdict)
}

fn golden(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn compare(name: &str, text: &str) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == text, "{name} differs; see the top of this file for how to update it");
}

#[test]
fn the_terminal_report_is_unchanged() {
    let (outcome, verdict) = example();
    let short = terminal::Layout::default();
    compare("terminal.txt", &(terminal::render(&outcome, &verdict, short) + "\n"));
    let verbose = terminal::Layout { verbose: true, ..short };
    compare("terminal_verbose.txt", &(terminal::render(&outcome, &verdict, verbose) + "\n"));
}

#[test]
fn the_html_report_is_unchanged() {
    let (outcome, verdict) = example();
    compare("report.html", &html::render(&outcome, &verdict, None).unwrap());
}

#[test]
fn the_csv_files_are_unchanged() {
    let (outcome, _) = example();
    for (suffix, text) in csv::render(&outcome).unwrap() {
        compare(&format!("table{suffix}"), &text);
    }
}

#[test]
fn the_ci_reports_are_unchanged() {
    let (outcome, verdict) = example();
    compare("junit.xml", &junit::render(&outcome, &verdict).unwrap());
    compare("summary.md", &markdown::render(&outcome, &verdict));
    compare("load_test_metrics.json", &metrics::render(&outcome, &verdict).unwrap());
}

#[test]
fn the_published_schema_is_current_and_accepts_outcomes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/outcome.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, journal::schema()).unwrap();
    }
    let published = fs::read_to_string(path).unwrap();
    assert!(
        published == journal::schema(),
        "the schema differs; see the top of this file for how to update it"
    );

    let schema = serde_json::from_str(&published).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let text = fs::read_to_string(golden("outcome.json")).unwrap();
    let mut outcome: serde_json::Value = serde_json::from_str(&text).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&outcome).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let text = fs::read_to_string(golden("outcome_v2.json")).unwrap();
    assert!(validator.is_valid(&serde_json::from_str(&text).unwrap()), "an older outcome");
    outcome["endpoints"][0]["seconds"][0]["sent"] = "many".into();
    assert!(!validator.is_valid(&outcome), "a string is not accepted for a number");
}

#[test]
fn an_outcome_of_format_version_1_is_read_with_all_its_measurements() {
    let old = json::read(&golden("outcome_v1.json")).unwrap();
    let (mut new, _) = example();
    // The descriptions of the built-in profiles were reworded in between.
    new.load.description.clone_from(&old.load.description);
    // Then all thresholds were required.
    new.sla.thresholds.iter_mut().for_each(|threshold| threshold.required = true);
    assert_eq!(old, new);
}

#[test]
fn an_outcome_of_format_version_2_is_read_with_all_its_measurements() {
    let old = json::read(&golden("outcome_v2.json")).unwrap();
    let (new, verdict) = example();
    assert_eq!(old, new);
    assert_eq!(Verdict::judge(&old, &old.sla), verdict);
}

#[test]
fn a_written_outcome_reads_back_unchanged() {
    let (outcome, _) = example();
    let again: Outcome = serde_json::from_str(&json::render(&outcome)).unwrap();
    assert_eq!(again, outcome);
}
