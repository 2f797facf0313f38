//! A summary for a pull request.

use std::fmt::Write as _;

use super::summary::{self, FigureCell};
use crate::{
    outcome::Outcome,
    sla::milliseconds,
    verdict::{Grade, Verdict},
};

/// How many failures are listed; the outcome has them all.
const FAILURES_SHOWN: usize = 5;

/// The summary.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = headline(outcome, verdict);
    text += &endpoints(outcome, verdict);
    text += &others(verdict);
    text += &completions(outcome);
    text += &failures(outcome);
    text
}

fn headline(outcome: &Outcome, verdict: &Verdict) -> String {
    let judged = outcome.judged();
    let mut text = format!(
        "### {} {}: {}\n\n{}\n\n",
        mark(verdict.grade),
        verdict.grade.name(),
        escape(&outcome.load.profile),
        escape(&verdict.reason)
    );
    let _ = writeln!(
        text,
        "{} users, {:.1} requests a second, P95 {}, {} errors of {} requests; judged by {}; {}.\n",
        outcome.load.users,
        summary::judged_rate(outcome),
        shown(judged.latency.quantile_ms(0.95)),
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
            "In {}:\n\n| endpoint | requests | errors | P50 | P95 | P99 | verdict |\n\
             |---|--:|--:|--:|--:|--:|---|\n",
            escape(&section.title)
        );
        for line in section.lines {
            let cells = line.figures.map(cell).join(" | ");
            let grade = line
                .grade
                .map_or_else(|| "–".into(), |grade| format!("{} {}", mark(grade), grade.name()));
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {cells} | {grade} |",
                line.name,
                line.judged.counts.sent,
                line.judged.counts.errors()
            );
        }
        text.push('\n');
    }
    text
}

/// Measured, and what was promised; a miss in bold.
fn cell(cell: FigureCell<'_>) -> String {
    let measured = shown(cell.measured);
    match cell.judged {
        None => measured,
        Some(judged) if judged.grade == Grade::Pass => {
            format!("{measured} ({})", judged.promise.limit())
        }
        Some(judged) => format!("**{measured}** ({})", judged.promise.limit()),
    }
}

fn others(verdict: &Verdict) -> String {
    let mut text = String::new();
    for judged in summary::other_promises(verdict) {
        let grade = judged.grade;
        let sentence = escape(&judged.sentence());
        let _ = writeln!(text, "- {} {}: {sentence}", mark(grade), grade.name());
    }
    for finding in &verdict.over_time {
        let promised = if finding.promised { "" } else { " (not promised)" };
        let _ = writeln!(
            text,
            "- {} {}: {}: {}{promised}",
            mark(finding.shown()),
            finding.word(),
            finding.name,
            escape(&finding.sentence)
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

fn failures(outcome: &Outcome) -> String {
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    if failures.is_empty() {
        return String::new();
    }
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let mut text = String::from("\n<details><summary>Failures</summary>\n\n");
    text += "| times | endpoint | kind | what | seconds |\n|--:|---|---|---|---|\n";
    for failure in failures.iter().take(FAILURES_SHOWN) {
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
    if failures.len() > FAILURES_SHOWN {
        let _ = writeln!(text, "\n… and {} more kinds.", failures.len() - FAILURES_SHOWN);
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

fn shown(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".into(), milliseconds)
}

/// What a service answers must not become markup of ours.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped += "&lt;",
            '\n' | '\r' => escaped.push(' '),
            '|' | '*' | '_' | '`' | '[' | ']' | '#' => {
                escaped.push('\\');
                escaped.push(letter);
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
        outcome::{Completion, CompletionSecond},
        report::example,
    };

    #[test]
    fn accepted_work_is_told_wherever_there_was_any() {
        let mut outcome = example::outcome();
        let verdict = Verdict::of(&outcome, &outcome.sla);
        assert!(!render(&outcome, &verdict).contains("Accepted work"));
        let seconds = vec![CompletionSecond { accepted: 3, completed: 2, ..Default::default() }];
        outcome.completions =
            vec![Completion { work: "enhancement".into(), drain_s: Some(2.5), seconds }];
        let texts = [
            render(&outcome, &verdict),
            crate::report::terminal::render(&outcome, &verdict),
            crate::report::html::render(&outcome, &verdict).unwrap(),
        ];
        for text in texts {
            assert!(text.contains("3 accepted = 2 completed"), "{text}");
            assert!(text.contains("done 2.5 s after the load"), "{text}");
        }
    }

    #[test]
    fn text_of_the_service_is_no_markup() {
        let mut outcome = example::outcome();
        outcome.failures[0].message = "<b>500</b> | broken".into();
        let text = render(&outcome, &Verdict::of(&outcome, &outcome.sla));
        assert!(text.contains("&lt;b>500&lt;/b> \\| broken"), "{text}");
    }
}
