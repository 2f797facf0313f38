//! The verdict as text: the answer first, then the figures that led to it.

use std::fmt::Write as _;

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
        endpoint_table(outcome, verdict),
        other_promises(verdict),
        over_time(verdict),
        totals(outcome),
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

fn endpoint_table(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut table =
        table::plain(["endpoint", "requests", "errors", "P50", "P95", "P99", "verdict"]);
    table::right(&mut table, 1..6);
    for line in summary::endpoints(outcome, verdict) {
        table.add_row(row(&line));
    }
    format!(
        "Measured / promised in milliseconds, in the steady stage ({}):\n{table}",
        span(outcome)
    )
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
    let judged_seconds = outcome.judged_seconds();
    let judged = outcome.over(&judged_seconds);
    let counts = whole.counts;
    let mut text = format!(
        "Steady stage: {} requests, {:.1} a second, errors: {}.\n\
         Whole run: {} sent = {} answered + {} timed out + {} failed; {} succeeded.\n",
        judged.counts.sent,
        summary::rate(&judged, &judged_seconds),
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

fn percentiles(outcome: &Outcome) -> String {
    let judged = outcome.over(&outcome.judged_seconds());
    let listed: Vec<String> = summary::percentiles(&judged.latency)
        .map(|(name, ms)| format!("{name} % {}", ms.map_or_else(|| "-".to_owned(), milliseconds)))
        .collect();
    format!("All endpoints, steady stage: {}", listed.join(" · "))
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
    let mut table = table::plain(["resource", "steady stage"]);
    for line in summary::resources(outcome, verdict) {
        table.add_row([line.name.to_owned(), line.value]);
    }
    table.to_string()
}

fn span(outcome: &Outcome) -> String {
    let judged = outcome.judged_seconds();
    format!(
        "{} to {}",
        timespan::display(u64::from(judged.start)),
        timespan::display(u64::from(judged.end))
    )
}
