//! Text report for the terminal: the verdict, what is not met, the endpoints; on demand everything
//! else that was measured.

use std::{fmt::Write as _, ops::Range};

use super::{
    metrics,
    summary::{self, EndpointRow, PercentileCell},
    table,
};
use crate::{
    console::{self, printable},
    duration,
    load::Model,
    outcome::{Ended, Outcome},
    sla::format_ms,
    verdict::{Grade, Verdict},
};

/// Number of failures listed, in the short report and in the full one; the outcome contains all.
const MAX_FAILURES_SHOWN: [usize; 2] = [3, 10];

/// Number of thresholds of each grade that the short report lists: of those that are violated, and of
/// those that are not decidable, mostly all for the same reason.
const MAX_NOT_MET_SHOWN: [usize; 2] = [8, 3];

/// As wide as a mark; of spaces that a table does not cut off.
const NO_MARK: &str = "\u{a0}\u{a0}";

/// Width below which the table of endpoints has fewer columns.
const NARROW: usize = 60;

/// Width of the columns after the endpoint in the table of slow requests.
const TRACE_COLUMNS_WIDTH: usize = 54;

/// Width of the column of grades before a sentence.
const GRADE_WIDTH: usize = 14;

/// How to lay out the report.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Width of tables, in columns.
    pub width: usize,
    /// Whether sentences are wrapped at that width, too, as on a terminal.
    pub wrap: bool,
    /// Whether to print everything that was measured.
    pub verbose: bool,
    /// Whether to print colors.
    pub color: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { width: console::DEFAULT_WIDTH, wrap: false, verbose: false, color: false }
    }
}

/// Renders the report, without a trailing line break and without control characters, except those of
/// the colors.
#[must_use]
pub fn render(outcome: &Outcome, verdict: &Verdict, layout: Layout) -> String {
    let parts = match layout.verbose {
        true => full(outcome, verdict, layout),
        false => short(outcome, verdict, layout),
    };
    let mut text = String::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        text.push_str(part.trim_end());
        text.push_str("\n\n");
    }
    let text = printable(text.trim_end());
    let text = match layout.wrap {
        true => wrap(&text, layout.width),
        false => text.into_owned(),
    };
    if layout.color { colorize(&text) } else { text }
}

fn short(outcome: &Outcome, verdict: &Verdict, layout: Layout) -> Vec<String> {
    vec![
        headline(outcome, verdict, &short_reason(outcome, verdict)),
        not_met(outcome, verdict),
        endpoint_tables(outcome, verdict, layout.width),
        summary::slow_failures(outcome).join("\n"),
        failures(outcome, MAX_FAILURES_SHOWN[0]),
        acceptance(outcome, verdict),
        completions(outcome),
        short_totals(outcome, verdict),
    ]
}

fn full(outcome: &Outcome, verdict: &Verdict, layout: Layout) -> Vec<String> {
    vec![
        headline(outcome, verdict, &verdict.reason),
        endpoint_tables(outcome, verdict, layout.width),
        summary::slow_failures(outcome).join("\n"),
        other_thresholds(verdict),
        over_time(verdict),
        acceptance(outcome, verdict),
        totals(outcome),
        completions(outcome),
        counters(outcome),
        percentiles(outcome),
        slowest(outcome, layout.width),
        failures(outcome, MAX_FAILURES_SHOWN[1]),
        resources(outcome, verdict, layout.width),
        summary::load_model_note(outcome),
    ]
}

/// Wraps sentences: those after a grade below the sentence, others at the margin.
fn wrap(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| {
        let is_judged = COLORS
            .iter()
            .any(|(grade, _)| line.strip_prefix(grade).is_some_and(|rest| rest.starts_with(' ')));
        console::wrap(line, width, if is_judged { GRADE_WIDTH } else { 2 })
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// The grades, and the codes of their colors.
const COLORS: [(&str, &str); 8] = [
    ("INSUFFICIENT", "33"),
    ("NOT DECIDABLE", "2"),
    ("INCONCLUSIVE", "2"),
    ("NO VERDICT", "2"),
    ("WARNING", "33"),
    ("INVALID", "35"),
    ("PASS", "32"),
    ("FAIL", "31"),
];

/// Colors the grades at the start of the lines of `text`, and the marks in tables.
fn colorize(text: &str) -> String {
    let colorize_line = |line: &str| {
        for (grade, color) in COLORS {
            if let Some(rest) = line.strip_prefix(grade) {
                return format!("\u{1b}[1;{color}m{grade}\u{1b}[0m{rest}");
            }
        }
        colorize_marks(line)
    };
    text.lines().map(colorize_line).collect::<Vec<String>>().join("\n")
}

/// Colors each `!` and `?` after a number.
fn colorize_marks(line: &str) -> String {
    let mut colored = String::new();
    let mut before = [' '; 2];
    for c in line.chars() {
        match (before, c) {
            ([digit, ' '], '!') if digit.is_ascii_digit() => colored += "\u{1b}[1;31m!\u{1b}[0m",
            ([digit, ' '], '?') if digit.is_ascii_digit() => colored += "\u{1b}[33m?\u{1b}[0m",
            _ => colored.push(c),
        }
        before = [before[1], c];
    }
    colored
}

fn headline(outcome: &Outcome, verdict: &Verdict, reason: &str) -> String {
    let mut text = format!("{}: {reason}\n", verdict.qualified_grade());
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

/// Returns the reason of the verdict, or if it has several, how many, which [`not_met`] lists.
fn short_reason(outcome: &Outcome, verdict: &Verdict) -> String {
    let counts = |grade: Grade| sentences_of(verdict, grade).len();
    let all = verdict.thresholds.len();
    let is_complete = outcome.ended == Ended::AsPlanned;
    match verdict.grade {
        Grade::Fail | Grade::Warning if counts(verdict.grade) > 1 => {
            format!("{} of {all} thresholds violated", counts(verdict.grade))
        }
        Grade::Insufficient if is_complete && counts(Grade::Insufficient) > 1 => {
            let count = counts(Grade::Insufficient);
            format!("{count} of {all} thresholds not decidable and required")
        }
        _ => verdict.reason.clone(),
    }
}

/// Returns a sentence for each threshold and finding that the verdict has this `grade` for, the furthest
/// beyond its limit first.
fn sentences_of(verdict: &Verdict, grade: Grade) -> Vec<String> {
    let mut judged: Vec<_> =
        verdict.thresholds.iter().filter(|judged| judged.contribution() == grade).collect();
    // Those that held the users are the cause; the others waited for one.
    judged.sort_by(|one, other| {
        one.waiting.is_some().cmp(&other.waiting.is_some()).then(one.worse_first(other))
    });
    let findings = verdict.over_time.iter();
    let findings = findings.filter(|finding| finding.affects_verdict() && finding.grade == grade);
    let findings = findings.map(|finding| format!("{}: {}", finding.name, finding.summary));
    judged.iter().map(|judged| judged.summary()).chain(findings).collect()
}

/// Lists what is not met, the worst first; nothing where the headline has the only reason.
fn not_met(outcome: &Outcome, verdict: &Verdict) -> String {
    let headline = short_reason(outcome, verdict);
    let grades = [Grade::Fail, Grade::Invalid, Grade::Insufficient, Grade::Warning].into_iter();
    // A run that was cut short decides nothing but violations; the headline says so.
    let is_cut_short = outcome.ended != Ended::AsPlanned;
    let mut text = String::new();
    for grade in grades.filter(|grade| *grade != Grade::Insufficient || !is_cut_short) {
        let mut sentences = sentences_of(verdict, grade);
        sentences.retain(|sentence| !headline.contains(sentence.as_str()));
        let count = MAX_NOT_MET_SHOWN[usize::from(grade == Grade::Insufficient)];
        for sentence in sentences.iter().take(count) {
            let _ = writeln!(text, "{:<GRADE_WIDTH$}{sentence}", grade.name());
        }
        if sentences.len() > count {
            let more = sentences.len() - count;
            let _ = writeln!(text, "{:<GRADE_WIDTH$}… and {more} more (--verbose)", grade.name());
        }
    }
    text
}

fn endpoint_tables(outcome: &Outcome, verdict: &Verdict, width: usize) -> String {
    let sections = summary::sections(outcome, verdict).into_iter();
    let tables = sections.map(|section| {
        let span = span(&section.seconds, outcome);
        let table = endpoint_table(&section.rows, width);
        let legend = legend(&table);
        format!("Latency in ms, {} ({span}){legend}:\n{table}", section.title)
    });
    tables.collect::<Vec<String>>().join("\n\n")
}

/// Explains the marks that `table` has.
fn legend(table: &str) -> String {
    let marks = [(" !", "! violated"), (" ?", "? not decidable")].into_iter();
    let used = marks.filter(|(mark, _)| {
        table.lines().any(|line| line.split("  ").any(|cell| cell.ends_with(mark)))
    });
    used.map(|(_, meaning)| format!(", {meaning}")).collect()
}

fn endpoint_table(rows: &[EndpointRow<'_>], width: usize) -> String {
    let header = ["endpoint", "requests", "errors", "P50", "P95", "P99"];
    let shown: &[usize] = if width < NARROW { &[0, 2, 4] } else { &[0, 1, 2, 3, 4, 5] };
    let cells: Vec<[String; 6]> = rows.iter().map(cells).collect();
    let has_marks = |index: usize| cells.iter().any(|row| row[index].ends_with(['!', '?']));
    let marked: Vec<usize> = (3..6).filter(|index| has_marks(*index)).collect();
    let shown_cell = |row: &[String; 6], index: usize| {
        // Values without a mark are aligned with those that have one.
        let is_aligned = !marked.contains(&index) || row[index].ends_with(['!', '?']);
        format!("{}{}", row[index], if is_aligned { "" } else { NO_MARK })
    };
    let rows: Vec<Vec<String>> = cells
        .iter()
        .map(|row| shown.iter().map(|index| shown_cell(row, *index)).collect())
        .collect();
    let header: Vec<&str> = shown.iter().map(|index| header[*index]).collect();
    let numbers: usize = (1..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([header[column].len()]).max().unwrap_or_default() + 2
        })
        .sum();
    let mut table = table::with_header(&header);
    table::align_right(&mut table, 1..header.len());
    for mut row in rows {
        row[0] = table::break_name(&row[0], width.saturating_sub(numbers));
        table.add_row(row);
    }
    table::fit(table, width).replace('\u{a0}', " ")
}

fn cells(row: &EndpointRow<'_>) -> [String; 6] {
    let [p50, p95, p99] = row.percentiles.map(cell);
    [
        row.name.to_owned(),
        row.tally.counts.sent.to_string(),
        row.tally.counts.errors().to_string(),
        p50,
        p95,
        p99,
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
    format!("{value}{mark}")
}

fn number(ms: f64) -> String {
    format_ms(ms).trim_end_matches(" ms").to_owned()
}

fn other_thresholds(verdict: &Verdict) -> String {
    let mut judged: Vec<_> = verdict.thresholds.iter().collect();
    judged.sort_by(|one, other| one.worse_first(other));
    let mut text = String::new();
    for judged in judged {
        let _ = writeln!(text, "{:<GRADE_WIDTH$}{}", judged.label(), judged.summary());
    }
    text
}

/// The whole run in two lines: what was sent, and what service and load generator used for it.
fn short_totals(outcome: &Outcome, verdict: &Verdict) -> String {
    let judged = outcome.tally_judged();
    let latency = summary::percentiles(&judged.latency)
        .filter(|(name, _)| ["50", "95", "99"].contains(name))
        .map(percentile);
    let model = match outcome.load.model {
        Model::Closed => format!("{} users", outcome.load.users),
        Model::Open => "open model".to_owned(),
    };
    let mut text = format!(
        "Judged: {} requests, {:.1}/s, {model}, errors: {}; {}\n",
        judged.counts.sent,
        summary::judged_rate(outcome),
        judged.counts.errors(),
        latency.collect::<Vec<String>>().join(", "),
    );
    let shown = [
        ("service CPU (100 % = one CPU)", "service CPU"),
        ("service memory", "memory"),
        ("generator CPU (100 % = all CPUs)", "generator CPU"),
    ];
    let resources = summary::resources(outcome, verdict);
    let resources: Vec<String> = shown
        .iter()
        .filter_map(|(name, short)| {
            let row = resources.iter().find(|row| row.name == *name)?;
            (row.value != "n/a").then(|| format!("{short} {}", row.value))
        })
        .collect();
    if !resources.is_empty() {
        let _ = writeln!(text, "Used: {}", resources.join("; "));
    }
    text
}

fn over_time(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.over_time {
        let limit_kind = if finding.in_sla { "threshold" } else { "no threshold; default" };
        let _ = writeln!(
            text,
            "{:<GRADE_WIDTH$}{}: {}; {limit_kind} {}",
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

fn percentile((name, ms): (&str, Option<f64>)) -> String {
    format!("P{name} {}", ms.map_or_else(|| "-".to_owned(), format_ms))
}

fn percentiles(outcome: &Outcome) -> String {
    let judged = outcome.tally_judged();
    let listed: Vec<String> = summary::percentiles(&judged.latency).map(percentile).collect();
    format!("Latency, all endpoints, judged: {}", listed.join(" · "))
}

/// Lists one slow request of each endpoint: the slowest sampled one, whose trace can be found.
fn slowest(outcome: &Outcome, width: usize) -> String {
    let mut table = table::plain(["endpoint", "latency", "second", "trace (* sampled)"]);
    table::align_right(&mut table, 1..3);
    for endpoint in &outcome.endpoints {
        let mut requests = endpoint.slowest.iter().filter(|request| !request.trace_id.is_empty());
        let slowest = requests.clone().find(|request| request.sampled).or_else(|| requests.next());
        if let Some(request) = slowest {
            let mark = if request.sampled { " *" } else { "" };
            table.add_row([
                table::break_name(&endpoint.name, width.saturating_sub(TRACE_COLUMNS_WIDTH)),
                format_ms(request.latency_ms),
                request.second.to_string(),
                format!("{}{mark}", request.trace_id),
            ]);
        }
    }
    if table.is_empty() {
        return String::new();
    }
    format!("Slow requests and their traces:\n{}", table::fit(table, width))
}

fn failures(outcome: &Outcome, count: usize) -> String {
    if outcome.failures.is_empty() {
        return String::new();
    }
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
    let mut text = String::from("Failures:\n");
    for failure in failures.iter().take(count) {
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
    if failures.len() > count {
        let _ = writeln!(text, "         … and {} more", failures.len() - count);
    }
    text
}

fn resources(outcome: &Outcome, verdict: &Verdict, width: usize) -> String {
    let mut table = table::plain(["resource", "usage in the judged stages"]);
    for row in summary::resources(outcome, verdict) {
        table.add_row([row.name.to_owned(), row.value]);
    }
    table::fit(table, width)
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
    use crate::{
        outcome::{Failure, SlowRequest},
        report::example,
        sla::Limit,
    };

    fn rendered(change: impl FnOnce(&mut Outcome), layout: Layout) -> String {
        let mut outcome = example::outcome();
        change(&mut outcome);
        render(&outcome, &Verdict::judge(&outcome, &outcome.sla), layout)
    }

    /// Violates the thresholds of the P95, each by another factor.
    fn violate(outcome: &mut Outcome) {
        for (index, threshold) in (1_u32..).zip(&mut outcome.sla.thresholds) {
            if threshold.metric == crate::sla::Metric::P95 {
                threshold.limit = Limit::below(0.01 * f64::from(index));
                threshold.fail_limit = Some(threshold.limit);
            }
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [40, 60, 80, 120] {
            for verbose in [false, true] {
                let layout = Layout { width, wrap: true, verbose, color: false };
                let text = rendered(violate, layout);
                for line in text.lines().filter(|line| line.chars().count() > width) {
                    // Words that cannot be broken, so that they can be copied.
                    let is_word = !line.trim().contains(' ');
                    assert!(is_word, "{width}, {verbose}: {line}");
                }
            }
        }
    }

    #[test]
    fn the_short_report_has_what_is_not_met_and_fits_one_screen() {
        let text = rendered(violate, Layout::default());
        assert!(text.starts_with("FAIL: 7 of 35 thresholds violated\n"), "{text}");
        let names = text.lines().filter(|line| line.starts_with("GET /api/v1/agents/{id}/goals "));
        assert_eq!(names.count(), 1, "the name is in one line: {text}");
        let listed = |text: &str| text.lines().filter(|line| line.starts_with("FAIL  ")).count();
        assert_eq!(listed(&text), 7, "{text}");
        assert!(text.lines().count() <= 32, "{text}");
        assert!(!text.contains("PASS"), "what is met is not listed: {text}");
        let full = rendered(violate, Layout { verbose: true, ..Layout::default() });
        assert!(full.contains("PASS          GET /health: P50"), "{full}");
        assert!(full.contains("Whole run: "), "{full}");
    }

    #[test]
    fn the_furthest_beyond_its_threshold_comes_first() {
        let text = rendered(violate, Layout::default());
        let factors: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("FAIL  "))
            .map(|line| {
                let after =
                    |mark: &str| line.split(mark).nth(1).unwrap().split(' ').next().unwrap();
                let value: f64 = after("P95 ").parse().unwrap();
                value / after("< ").parse::<f64>().unwrap()
            })
            .collect();
        assert_eq!(factors.len(), 7, "{text}");
        assert!(factors.is_sorted_by(|one, other| one >= other), "{factors:?}");
    }

    #[test]
    fn a_run_that_was_cut_short_lists_nothing_that_only_needed_more_time() {
        let cut_short = |outcome: &mut Outcome| {
            (outcome.ended, outcome.duration_s) = (Ended::Interrupted, 12.0);
        };
        let text = rendered(cut_short, Layout::default());
        assert!(text.starts_with("INSUFFICIENT: "), "{text}");
        assert!(!text.contains("\nINSUFFICIENT"), "{text}");
    }

    #[test]
    fn a_narrow_terminal_has_fewer_columns() {
        let header = |width| {
            let text = rendered(|_| {}, Layout { width, ..Layout::default() });
            let line = text.lines().find(|line| line.starts_with("endpoint")).map(str::to_owned);
            line.unwrap().split_whitespace().skip(1).collect::<Vec<&str>>().join(" ")
        };
        assert_eq!([59, 60].map(header), ["errors P95", "requests errors P50 P95 P99"]);
    }

    #[test]
    fn the_most_frequent_failures_are_listed() {
        let text = rendered(
            |outcome| {
                let template = outcome.failures[0].clone();
                let failure = |count: u64| Failure {
                    message: format!("message {count}"),
                    count,
                    ..template.clone()
                };
                outcome.failures = [2, 9, 1, 7, 4].map(failure).into();
            },
            Layout::default(),
        );
        let shown = text.lines().filter_map(|line| line.split("message ").nth(1));
        let counts: Vec<&str> = shown.map(|rest| rest.split(' ').next().unwrap()).collect();
        assert_eq!(counts, ["9", "7", "4"], "{text}");
    }

    #[test]
    fn of_the_slow_requests_one_whose_trace_can_be_found_is_listed() {
        let text = rendered(
            |outcome| {
                let slow = |latency_ms, trace: &str, sampled| SlowRequest {
                    trace_id: trace.into(),
                    request_id: None,
                    sampled,
                    latency_ms,
                    second: 3,
                    status: Some(200),
                };
                outcome.endpoints[0].slowest =
                    vec![slow(90.0, "slower", false), slow(80.0, "kept", true)];
            },
            Layout { verbose: true, ..Layout::default() },
        );
        assert!(text.contains("kept *") && !text.contains("slower"), "{text}");
    }

    #[test]
    fn text_of_the_service_cannot_control_the_terminal() {
        let text = rendered(
            |outcome| outcome.failures[0].message = "bad\u{1b}[2J\u{7}\u{202e}".into(),
            Layout { color: true, wrap: true, ..Layout::default() },
        );
        assert!(text.contains("bad\\u{1b}[2J\\u{7}\\u{202e}"), "{text}");
        let escapes = text.matches('\u{1b}').count();
        assert_eq!(escapes, text.matches("\u{1b}[").count(), "colors only");
        assert!(!rendered(|_| {}, Layout::default()).contains('\u{1b}'), "no colors");
    }

    #[test]
    fn grades_and_marks_are_colored() {
        let colored = colorize("FAIL: too slow\nGET /x  12 !  3.4 ?\nno FAIL here! Why?");
        assert_eq!(
            colored,
            "\u{1b}[1;31mFAIL\u{1b}[0m: too slow\nGET /x  12 \u{1b}[1;31m!\u{1b}[0m  3.4 \
             \u{1b}[33m?\u{1b}[0m\nno FAIL here! Why?"
        );
    }
}
