//! Text report for the terminal: the verdict first, then the measurements behind it.

use std::{fmt::Write as _, ops::Range};

use super::{
    metrics,
    summary::{self, EndpointRow, PercentileCell},
    table,
};
use crate::{
    duration,
    outcome::Outcome,
    sla::format_ms,
    verdict::{Grade, Verdict},
};

/// Number of failures listed; the outcome contains all.
const MAX_FAILURES_SHOWN: usize = 10;

/// Renders the report, without a trailing line break.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = headline(outcome, verdict);
    for part in [
        endpoint_tables(outcome, verdict),
        summary::slow_failures(outcome).join("\n"),
        other_thresholds(verdict),
        over_time(verdict),
        acceptance(outcome, verdict),
        totals(outcome),
        completions(outcome),
        counters(outcome),
        percentiles(outcome),
        slowest(outcome),
        failures(outcome),
        resources(outcome, verdict),
        summary::load_model_note(outcome),
    ] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(part.trim_end());
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

/// Colors the grades at the start and end of the lines of `text`.
#[must_use]
pub fn colorize(text: &str) -> String {
    const COLORS: [(&str, &str); 7] = [
        ("INSUFFICIENT", "2"),
        ("NOT DECIDABLE", "2"),
        ("INCONCLUSIVE", "2"),
        ("WARNING", "33"),
        ("INVALID", "35"),
        ("PASS", "32"),
        ("FAIL", "31"),
    ];
    let colorize_line = |line: &str| {
        let trimmed = line.trim_end();
        for (grade, color) in COLORS {
            let colored = format!("\u{1b}[1;{color}m{grade}\u{1b}[0m");
            if let Some(rest) = line.strip_prefix(grade) {
                return format!("{colored}{rest}");
            }
            if let Some(rest) = trimmed.strip_suffix(grade) {
                return format!("{rest}{colored}");
            }
        }
        line.to_owned()
    };
    text.lines().map(colorize_line).collect::<Vec<String>>().join("\n")
}

fn headline(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut text = format!("{}: {}\n", verdict.qualified_grade(), verdict.reason);
    let _ = writeln!(
        text,
        "{} against {}, SLA: {}",
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
            table::plain(["endpoint", "requests", "errors", "P50", "P95", "P99", "grade"]);
        table::align_right(&mut table, 1..6);
        for row in &section.rows {
            table.add_row(cells(row));
        }
        let span = span(&section.seconds, outcome);
        format!("Value / threshold in ms, {} ({span}):\n{table}", section.title)
    });
    tables.collect::<Vec<String>>().join("\n\n")
}

fn cells(row: &EndpointRow<'_>) -> [String; 7] {
    let [p50, p95, p99] = row.percentiles.map(cell);
    [
        row.name.to_owned(),
        row.tally.counts.sent.to_string(),
        row.tally.counts.errors().to_string(),
        p50,
        p95,
        p99,
        row.grade_name().unwrap_or("-").to_owned(),
    ]
}

fn cell(cell: PercentileCell<'_>) -> String {
    let value = cell.value_ms.map_or_else(|| "-".to_owned(), number);
    let Some(judged) = cell.judged else { return value };
    let mark = match judged.reported_grade() {
        Grade::Pass => "",
        Grade::Insufficient | Grade::Invalid => " ?",
        _ => " !",
    };
    format!("{value} / {}{mark}", judged.threshold.limit.value)
}

fn number(ms: f64) -> String {
    format_ms(ms).trim_end_matches(" ms").to_owned()
}

fn other_thresholds(verdict: &Verdict) -> String {
    let mut text = String::new();
    for judged in summary::other_thresholds(verdict) {
        let _ = writeln!(text, "{:<13} {}", judged.label(), judged.summary());
    }
    text
}

fn over_time(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.over_time {
        let limit_kind = if finding.in_sla { "threshold" } else { "no threshold; default" };
        let _ = writeln!(
            text,
            "{:<13} {}: {}; {limit_kind} {}",
            finding.label(),
            finding.name,
            finding.summary,
            finding.limit
        );
    }
    text
}

fn acceptance(outcome: &Outcome, verdict: &Verdict) -> String {
    let lines = metrics::acceptance(outcome, verdict);
    if lines.is_empty() {
        return String::new();
    }
    format!("Acceptance criteria of the platform load tests:\n{}", lines.join("\n"))
}

fn totals(outcome: &Outcome) -> String {
    let judged = outcome.tally_judged();
    let counts = outcome.tally_all().counts;
    let mut text = format!(
        "Judged ({}): {} requests, {:.1} requests/s, errors: {}.\n\
         Whole run: {} sent = {} responses + {} timeouts + {} connection errors; {} succeeded.\n",
        summary::describe_judged_stages(outcome),
        judged.counts.sent,
        summary::judged_rate(outcome),
        judged.counts.errors(),
        counts.sent,
        counts.responses(),
        counts.timed_out,
        counts.connection_failures,
        counts.succeeded,
    );
    let statuses = summary::status_counts(outcome);
    if !statuses.is_empty() {
        let listed: Vec<String> =
            statuses.iter().map(|(status, count)| format!("{status} × {count}")).collect();
        let _ = writeln!(text, "Status codes: {}.", listed.join(", "));
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

fn counters(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (name, sentence) in summary::counters(outcome) {
        let _ = writeln!(text, "Counter {name}: {sentence}.");
    }
    text
}

fn percentiles(outcome: &Outcome) -> String {
    let judged = outcome.tally_judged();
    let listed: Vec<String> = summary::percentiles(&judged.latency)
        .map(|(name, ms)| format!("P{name} {}", ms.map_or_else(|| "-".to_owned(), format_ms)))
        .collect();
    format!("Latency, all endpoints, judged: {}", listed.join(" · "))
}

/// Lists one slow request of each endpoint: the slowest sampled one, whose trace can be found.
fn slowest(outcome: &Outcome) -> String {
    let mut table = table::plain(["endpoint", "latency", "second", "sampled", "trace"]);
    table::align_right(&mut table, 1..3);
    for endpoint in &outcome.endpoints {
        let mut requests = endpoint.slowest.iter().filter(|request| !request.trace_id.is_empty());
        let slowest = requests.clone().find(|request| request.sampled).or_else(|| requests.next());
        if let Some(request) = slowest {
            table.add_row([
                endpoint.name.clone(),
                format_ms(request.latency_ms),
                request.second.to_string(),
                if request.sampled { "yes" } else { "no" }.to_owned(),
                request.trace_id.clone(),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    format!("Slow requests and their traces:\n{table}")
}

fn failures(outcome: &Outcome) -> String {
    if outcome.failures.is_empty() {
        return String::new();
    }
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let mut text = String::from("Failures:\n");
    for failure in failures.iter().take(MAX_FAILURES_SHOWN) {
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
    if failures.len() > MAX_FAILURES_SHOWN {
        let _ = writeln!(text, "         … and {} more", failures.len() - MAX_FAILURES_SHOWN);
    }
    text
}

fn resources(outcome: &Outcome, verdict: &Verdict) -> String {
    let mut table = table::plain(["resource", "usage in the judged stages"]);
    for row in summary::resources(outcome, verdict) {
        table.add_row([row.name.to_owned(), row.value]);
    }
    table.to_string()
}

fn span(seconds: &Range<u32>, outcome: &Outcome) -> String {
    let end = seconds.end.min(outcome.planned_seconds());
    format!(
        "{} to {}",
        duration::format(u64::from(seconds.start)),
        duration::format(u64::from(end))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grades_are_colored_at_the_start_and_end_of_a_line() {
        let colored = colorize("FAIL: too slow\n GET /x  12 / 10   PASS\nno FAIL here");
        assert_eq!(
            colored,
            "\u{1b}[1;31mFAIL\u{1b}[0m: too slow\n GET /x  12 / 10   \u{1b}[1;32mPASS\u{1b}[0m\n\
             no FAIL here"
        );
    }
}
