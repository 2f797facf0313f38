//! The verdict as text: the answer first, then the figures that led to it.

use std::{fmt::Write as _, ops::Range};

use super::{
    summary::{self, EndpointLine, FigureCell},
    table,
};
use crate::{
    outcome::Outcome,
    sla::milliseconds,
    timespan,
    verdict::{Grade, Verdict},
};

/// How many failures are listed; the outcome has them all.
const FAILURES_SHOWN: usize = 10;

/// The whole text, without a line break at its end.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = headline(outcome, verdict);
    for part in [
        endpoint_tables(outcome, verdict),
        other_promises(verdict),
        over_time(verdict),
        totals(outcome),
        completions(outcome),
        percentiles(outcome),
        failures(outcome),
        resources(outcome, verdict),
        summary::cap(outcome),
    ] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(part.trim_end());
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

/// The same text with its verdicts in colour.
#[must_use]
pub fn painted(text: &str) -> String {
    const COLOURS: [(&str, &str); 6] = [
        ("INSUFFICIENT", "2"),
        ("INCONCLUSIVE", "2"),
        ("WARNING", "33"),
        ("INVALID", "35"),
        ("PASS", "32"),
        ("FAIL", "31"),
    ];
    let paint = |line: &str| {
        let trimmed = line.trim_end();
        for (word, colour) in COLOURS {
            let coloured = format!("\u{1b}[1;{colour}m{word}\u{1b}[0m");
            if let Some(rest) = line.strip_prefix(word) {
                return format!("{coloured}{rest}");
            }
            if let Some(rest) = trimmed.strip_suffix(word) {
                return format!("{rest}{coloured}");
            }
        }
        line.to_owned()
    };
    text.lines().map(paint).collect::<Vec<String>>().join("\n")
}

fn headline(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = format!("{}: {}\n", verdict.grade.name(), verdict.reason);
    let _ = writeln!(
        text,
        "{} against {}, judged by: {}",
        outcome.load.profile, outcome.target.host, verdict.sla
    );
    for note in &verdict.notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    text
}

fn endpoint_tables(outcome: &Outcome, verdict: &Verdict) -> String {
    let sections = summary::sections(outcome, verdict).into_iter();
    let tables = sections.map(|section| {
        let mut table =
            table::plain(["endpoint", "requests", "errors", "P50", "P95", "P99", "verdict"]);
        table::right(&mut table, 1..6);
        for line in &section.lines {
            table.add_row(row(line));
        }
        let part = format!("{} ({})", section.title, span(&section.seconds, outcome));
        format!("Measured / promised in milliseconds, in {part}:\n{table}")
    });
    tables.collect::<Vec<String>>().join("\n\n")
}

fn row(line: &EndpointLine<'_>) -> [String; 7] {
    let [p50, p95, p99] = line.figures.map(cell);
    [
        line.name.to_owned(),
        line.judged.counts.sent.to_string(),
        line.judged.counts.errors().to_string(),
        p50,
        p95,
        p99,
        line.grade.map_or("-", Grade::name).to_owned(),
    ]
}

fn cell(cell: FigureCell<'_>) -> String {
    let measured = cell.measured.map_or_else(|| "-".to_owned(), number);
    let Some(judged) = cell.judged else { return measured };
    let mark = match judged.grade {
        Grade::Pass => "",
        Grade::Insufficient => " ?",
        _ => " !",
    };
    format!("{measured} / {}{mark}", judged.promise.below)
}

fn number(ms: f64) -> String {
    milliseconds(ms).trim_end_matches(" ms").to_owned()
}

fn other_promises(verdict: &Verdict) -> String {
    let mut text = String::new();
    for judged in summary::other_promises(verdict) {
        let _ = writeln!(text, "{:<12} {}", judged.grade.name(), judged.sentence());
    }
    text
}

fn over_time(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.over_time {
        let promised = if finding.promised { "promised" } else { "not promised; usual" };
        let _ = writeln!(
            text,
            "{:<12} {}: {}; {promised} {}",
            finding.word(),
            finding.name,
            finding.sentence,
            finding.limit
        );
    }
    text
}

fn totals(outcome: &Outcome) -> String {
    let whole = outcome.whole();
    let judged = outcome.judged();
    let counts = whole.counts;
    let mut text = format!(
        "Judged ({}): {} requests, {:.1} a second, errors: {}.\n\
         Whole run: {} sent = {} answered + {} timed out + {} failed; {} succeeded.\n",
        summary::judged_part(outcome),
        judged.counts.sent,
        summary::judged_rate(outcome),
        judged.counts.errors(),
        counts.sent,
        counts.answered(),
        counts.timed_out,
        counts.connection_failures,
        counts.succeeded,
    );
    let statuses = summary::statuses(outcome);
    if !statuses.is_empty() {
        let listed: Vec<String> =
            statuses.iter().map(|(status, count)| format!("{status} × {count}")).collect();
        let _ = writeln!(text, "Statuses: {}.", listed.join(", "));
    }
    let users: Vec<String> = outcome
        .load
        .classes
        .iter()
        .map(|class| format!("{} {}", class.users, class.name))
        .collect();
    let _ = writeln!(text, "Users: {}.", users.join(", "));
    text
}

fn completions(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (work, sentence) in summary::completions(outcome) {
        let _ = writeln!(text, "Accepted work, {work}: {sentence}.");
    }
    text
}

fn percentiles(outcome: &Outcome) -> String {
    let judged = outcome.judged();
    let listed: Vec<String> = summary::percentiles(&judged.latency)
        .map(|(name, ms)| format!("{name} % {}", ms.map_or_else(|| "-".to_owned(), milliseconds)))
        .collect();
    format!("All endpoints, judged: {}", listed.join(" · "))
}

fn failures(outcome: &Outcome) -> String {
    if outcome.failures.is_empty() {
        return String::new();
    }
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let mut text = String::from("Failures:\n");
    for failure in failures.iter().take(FAILURES_SHOWN) {
        let _ = writeln!(
            text,
            "{:>8} × {} {}: {} (seconds {} to {})",
            failure.count,
            failure.endpoint,
            failure.kind.name(),
            failure.message,
            failure.first_second,
            failure.last_second
        );
    }
    if failures.len() > FAILURES_SHOWN {
        let _ = writeln!(text, "         … and {} more kinds", failures.len() - FAILURES_SHOWN);
    }
    text
}

fn resources(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut table = table::plain(["resource", "in the judged seconds"]);
    for line in summary::resources(outcome, verdict) {
        table.add_row([line.name.to_owned(), line.value]);
    }
    table.to_string()
}

fn span(seconds: &Range<u32>, outcome: &Outcome) -> String {
    let end = seconds.end.min(outcome.planned_seconds());
    format!(
        "{} to {}",
        timespan::display(u64::from(seconds.start)),
        timespan::display(u64::from(end))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_coloured_where_they_begin_or_end_a_line() {
        let painted = painted("FAIL: too slow\n GET /x  12 / 10   PASS\nno FAIL here");
        assert_eq!(
            painted,
            "\u{1b}[1;31mFAIL\u{1b}[0m: too slow\n GET /x  12 / 10   \u{1b}[1;32mPASS\u{1b}[0m\n\
             no FAIL here"
        );
    }
}
