//! The short form of `selftest`: servers of known truth, and the only right verdict on each.

#![cfg(unix)]

#[expect(dead_code, reason = "this test reads neither verdict nor outcome")]
mod harness;

use harness::{loadtest, new_test_folder};

#[test]
fn verdicts_on_servers_of_known_truth_are_right() {
    let folder = new_test_folder("selftest");
    // Latencies are compared by the full form, on a machine that does nothing else.
    let output = loadtest(&folder, &["selftest", "--short", "--ignore-latency"]);
    assert_eq!(output.exit_code, 0, "{}\n{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("9 runs: 0 false PASS, 0 false FAIL"), "{}", output.stdout);
}

#[test]
fn an_unknown_case_is_an_error() {
    let output = loadtest(&new_test_folder("selftest-unknown"), &["selftest", "--only", "x"]);
    assert_eq!(output.exit_code, 2);
    assert!(output.stderr.contains("unknown case `x`"), "{}", output.stderr);
}
