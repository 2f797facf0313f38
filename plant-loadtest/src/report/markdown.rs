//! Markdown summary for a pull request.

use std::fmt::Write as _;

use super::summary::{self, PercentileCell};
use crate::{
    outcome::Outcome,
    verdict::{Grade, Verdict},
};

/// Number of failures listed; the outcome contains all.
const MAX_FAILURES_SHOWN: usize = 5;

/// Renders the summary.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = headline(outcome, verdict);
    text += &endpoints(outcome, verdict);
    text += &other_thresholds(verdict);
    text += &completions(outcome);
    text += &counters(outcome);
    text += &failures(outcome);
    text
}

fn headline(outcome: &Outcome, verdict: &Verdict) -> String {
    let judged = outcome.tally_judged();
    let mut text = format!(
        "### {} {}: {}\n\n{}\n\n",
        mark(verdict.grade),
        verdict.qualified_grade(),
        escape(&outcome.load.profile),
        escape(&verdict.reason)
    );
    let _ = writeln!(
        text,
        "{} users, {:.1} requests/s, P95 {}, {} of {} requests failed; SLA: {}; {}.\n",
        outcome.load.users,
        summary::judged_rate(outcome),
        summary::ms_or_dash(judged.latency.quantile_ms(0.95)),
        judged.counts.errors(),
        judged.counts.sent,
        escape(&verdict.sla),
        outcome.started_at.format("%Y-%m-%d %H:%M UTC"),
    );
    for note in &verdict.notes {
        let _ = writeln!(text, "> {}\n", escape(note));
    }
    text
}

fn endpoints(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = String::new();
    for section in summary::sections(outcome, verdict) {
        let _ = write!(
            text,
            "In {}:\n\n| endpoint | requests | errors | P50 | P95 | P99 | grade |\n\
             |---|--:|--:|--:|--:|--:|---|\n",
            escape(&section.title)
        );
        for row in section.rows {
            let cells = row.percentiles.map(cell).join(" | ");
            let grade = row.grade.zip(row.label());
            let grade = grade
                .map_or_else(|| "–".into(), |(grade, label)| format!("{} {label}", mark(grade)));
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {cells} | {grade} |",
                row.name,
                row.tally.counts.sent,
                row.tally.counts.errors()
            );
        }
        text.push('\n');
    }
    text
}

/// Formats a percentile and its threshold; bold unless the threshold was met.
fn cell(cell: PercentileCell<'_>) -> String {
    let value = summary::ms_or_dash(cell.value_ms);
    match cell.judged {
        None => value,
        Some(judged) if judged.reported_grade() == Grade::Pass => {
            format!("{value} ({})", judged.threshold.format_limit())
        }
        Some(judged) => format!("**{value}** ({})", judged.threshold.format_limit()),
    }
}

fn other_thresholds(verdict: &Verdict) -> String {
    let mut text = String::new();
    for judged in summary::other_thresholds(verdict) {
        let mark = mark(judged.reported_grade());
        let sentence = escape(&judged.summary());
        let _ = writeln!(text, "- {mark} {}: {sentence}", judged.label());
    }
    for finding in &verdict.over_time {
        let note = if finding.in_sla { "" } else { " (no threshold)" };
        let _ = writeln!(
            text,
            "- {} {}: {}: {}{note}",
            mark(finding.reported_grade()),
            finding.label(),
            finding.name,
            escape(&finding.summary)
        );
    }
    text
}

fn completions(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (work, sentence) in summary::completions(outcome) {
        let _ = writeln!(text, "- Accepted work, {}: {}.", escape(work), escape(&sentence));
    }
    text
}

fn counters(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (name, sentence) in summary::counters(outcome) {
        let _ = writeln!(text, "- Counter {}: {}.", escape(name), escape(&sentence));
    }
    text
}

fn failures(outcome: &Outcome) -> String {
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    if failures.is_empty() {
        return String::new();
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let mut text = String::from("\n<details><summary>Failures</summary>\n\n");
    text += "| count | endpoint | kind | message | seconds |\n|--:|---|---|---|---|\n";
    for failure in failures.iter().take(MAX_FAILURES_SHOWN) {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} | {} to {} |",
            failure.count,
            failure.endpoint,
            failure.kind.name(),
            escape(&failure.message),
            failure.first_second,
            failure.last_second
        );
    }
    if failures.len() > MAX_FAILURES_SHOWN {
        let _ = writeln!(text, "\n… and {} more.", failures.len() - MAX_FAILURES_SHOWN);
    }
    text + "\n</details>\n"
}

fn mark(grade: Grade) -> &'static str {
    match grade {
        Grade::Unjudged => "ℹ️",
        Grade::Pass => "✅",
        Grade::Warning => "⚠️",
        Grade::Fail => "❌",
        Grade::Insufficient => "❔",
        Grade::Invalid => "🚫",
    }
}

/// Escapes Markdown and HTML, because messages may contain text of the service.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => escaped += "&lt;",
            '\n' | '\r' => escaped.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(char);
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Completion, CompletionCell, Counter, CounterCell, ItemProblem},
        report::{example, terminal},
    };

    #[test]
    fn accepted_work_is_reported_in_every_format() {
        let mut outcome = example::outcome();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(!render(&outcome, &verdict).contains("Accepted work"));
        let cells = vec![CompletionCell { accepted: 3, completed: 2, ..Default::default() }];
        outcome.completions = vec![Completion {
            work: "enhancement".into(),
            drain_s: Some(2.5),
            cells,
            not_ended_ids: vec!["T-7".into()],
            doubled: Some(1),
            doubled_items: vec![ItemProblem {
                id: "T-8".into(),
                problem: "2 entries in the list".into(),
            }],
            ..Completion::default()
        }];
        let texts = [
            render(&outcome, &verdict),
            verbose(&outcome, &verdict),
            crate::report::html::render(&outcome, &verdict, None).unwrap(),
        ];
        for text in texts {
            assert!(text.contains("3 accepted = 2 completed"), "{text}");
            assert!(text.contains("finished 2.5 s after the load; not ended: T-7"), "{text}");
            assert!(text.contains("; doubled: T-8: 2 entries in the list"), "{text}");
        }
    }

    fn verbose(outcome: &Outcome, verdict: &Verdict) -> String {
        let layout = terminal::Layout { verbose: true, ..Default::default() };
        terminal::render(outcome, verdict, layout)
    }

    #[test]
    fn counters_are_reported_in_every_format() {
        let mut outcome = example::outcome();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let cell = |second, count| CounterCell { second, count };
        let cells = vec![cell(0, 5), cell(outcome.judged_span().start, 45)];
        outcome.counters = vec![Counter { name: "orders".into(), cells }];
        let texts = [
            render(&outcome, &verdict),
            verbose(&outcome, &verdict),
            crate::report::html::render(&outcome, &verdict, None).unwrap(),
        ];
        for text in texts {
            assert!(text.contains("orders"), "{text}");
            assert!(text.contains("50 in the whole run, 45 judged (1.5 per second)"), "{text}");
        }
    }

    #[test]
    fn text_from_the_service_is_escaped() {
        let mut outcome = example::outcome();
        outcome.failures[0].message = "<b>500</b> | broken".into();
        let text = render(&outcome, &Verdict::judge(&outcome, &outcome.sla));
        assert!(text.contains("&lt;b>500&lt;/b> \\| broken"), "{text}");
    }
}
