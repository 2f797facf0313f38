//! The result of the self-test as text: a confusion matrix, and what was wrong.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{case::Compared, runner::CaseResult};
use crate::report::table;

/// Returns whether every verdict, culprit and count was right.
#[must_use]
pub fn is_right(results: &[CaseResult]) -> bool {
    results.iter().all(|result| result.problems.is_empty())
}

/// Renders the result.
#[must_use]
pub fn render(results: &[CaseResult]) -> String {
    let faulty: Vec<&CaseResult> =
        results.iter().filter(|result| !result.case.expected.culprit.is_empty()).collect();
    let named = faulty.iter().filter(|result| result.has_right_grade() && result.names_culprit());
    let compared =
        results.iter().filter(|result| result.case.compared != Compared::Nothing).count();
    let wrong = results.iter().filter(|result| !result.problems.is_empty());
    let false_pass =
        results.iter().filter(|result| !result.has_right_grade() && result.grade == "PASS");
    let false_fail =
        results.iter().filter(|result| !result.has_right_grade() && result.grade == "FAIL");
    let mut text = format!(
        "Truth (rows) and verdict (columns):\n{}\n\n\
         {} runs: {} false PASS, {} false FAIL, culprit named in {} of {}; requests sent, answered and \
         failed compared with the server's log in {compared}.\n",
        matrix(results),
        results.len(),
        false_pass.count(),
        false_fail.count(),
        named.count(),
        faulty.len(),
    );
    for result in wrong {
        let _ = writeln!(text, "\nWRONG {}: {}", result.case.name, result.case.truth);
        for problem in &result.problems {
            let _ = writeln!(text, "  {problem}");
        }
    }
    text.trim_end().to_owned()
}

/// Renders how often each verdict was given, by the right ones.
fn matrix(results: &[CaseResult]) -> String {
    let mut rows: BTreeMap<String, BTreeMap<&str, u32>> = BTreeMap::new();
    let mut columns: Vec<&str> = Vec::new();
    for result in results {
        let truth = result.case.expected.grades.join(" or ");
        *rows.entry(truth).or_default().entry(&result.grade).or_default() += 1;
        if !columns.contains(&result.grade.as_str()) {
            columns.push(&result.grade);
        }
    }
    columns.sort_unstable();
    let mut header = vec!["truth"];
    header.extend(&columns);
    let mut table = table::with_header(&header);
    table::align_right(&mut table, 1..header.len());
    for (truth, counts) in rows {
        let mut row = vec![truth];
        row.extend(
            columns.iter().map(|column| {
                counts.get(column).map_or_else(|| "·".to_owned(), ToString::to_string)
            }),
        );
        table.add_row(row);
    }
    table::for_stdout(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest;

    fn result(case: &str, grade: &str, first_line: &str, problems: &[&str]) -> CaseResult {
        CaseResult {
            case: selftest::find(case).unwrap(),
            grade: grade.into(),
            first_line: first_line.into(),
            problems: problems.iter().map(|problem| (*problem).to_owned()).collect(),
        }
    }

    #[test]
    fn a_false_pass_is_counted_and_named() {
        let results = [
            result("null-open", "PASS", "PASS: all met", &[]),
            result("always-500", "PASS", "PASS: all met", &["PASS instead of FAIL"]),
            result("wrong-shape", "FAIL", "FAIL: GET /items/{id}: errors", &[]),
        ];
        let text = render(&results);
        assert!(
            text.contains("3 runs: 1 false PASS, 0 false FAIL, culprit named in 1 of 2"),
            "{text}"
        );
        assert!(text.contains("WRONG always-500"), "{text}");
        assert!(!is_right(&results) && is_right(&results[..1]));
    }
}
