//! Comparisons and histories as text, Markdown and CSV.

use std::fmt::Write as _;

use super::{Change, Comparison, EndpointChange, history::History, load_change::LoadChange};
use crate::{report::table, sla::format_ms};

/// Renders a comparison for the terminal: the overall result, notes and a table.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = format!("{}\n", headline(comparison));
    for note in &comparison.notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    let mut table = table::plain([
        "endpoint", "runs", "base P95", "new P95", "shift", "margin", "p slower", "p faster",
        "result",
    ]);
    table::align_right(&mut table, 1..8);
    for endpoint in &comparison.endpoints {
        let mut row = vec![endpoint.name.clone()];
        row.extend(cells(endpoint));
        row.push(label(comparison, endpoint.change));
        table.add_row(row);
    }
    let table = table::for_stdout(table);
    let _ = write!(text, "\n{table}\n\n{}", run_lines(comparison, ""));
    text.trim_end().to_owned()
}

/// Renders a comparison as Markdown, for a pull request.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = format!("### {}\n\n", headline(comparison));
    text += "| endpoint | runs | base P95 | new P95 | shift | margin | p slower | p faster | result |\n";
    text += "|---|--:|--:|--:|--:|--:|--:|--:|---|\n";
    for endpoint in &comparison.endpoints {
        let cells = cells(endpoint).join(" | ");
        let result = label(comparison, endpoint.change);
        let _ = writeln!(text, "| `{}` | {cells} | **{result}** |", endpoint.name);
    }
    let _ = write!(text, "\n{}", run_lines(comparison, "- "));
    for note in &comparison.notes {
        let _ = write!(text, "\n> {note}.\n");
    }
    text
}

/// Returns one line for each metric of the whole run, after `bullet`.
fn run_lines(comparison: &Comparison, bullet: &str) -> String {
    let lines = comparison.run.iter().map(|metric| {
        let LoadChange { name, unit, base, new, p_worse, .. } = metric;
        let result = label(comparison, metric.change);
        format!(
            "{bullet}{name}: {base:.2} → {new:.2} {unit}, p worse {}: {result}\n",
            p_value(*p_worse)
        )
    });
    lines.collect()
}

/// Renders the change points of a history as text.
#[must_use]
pub fn history_text(history: &History) -> String {
    let runs = history.runs.len();
    let mut text = match history.changes.len() {
        0 => format!("No change in {runs} runs.\n"),
        found => format!("{found} changes in {runs} runs:\n"),
    };
    for change in &history.changes {
        let run = &history.runs[change.run];
        let _ = writeln!(
            text,
            "  {} {:+.1} % from {} on ({}{}), p {:.4}",
            change.endpoint,
            change.shift_percent,
            run.started_at.format("%Y-%m-%d %H:%M"),
            run.file,
            if run.build.is_empty() { String::new() } else { format!(", build {}", run.build) },
            change.p_value
        );
    }
    text.trim_end().to_owned()
}

/// Renders a history as CSV with one row per run and endpoint.
///
/// # Errors
/// When a row cannot be written; not expected, because the rows are written to memory.
pub fn history_csv(history: &History) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "started_at",
        "file",
        "load",
        "build",
        "verdict",
        "requests_per_s",
        "error_percent",
        "endpoint",
        "p95_ms",
        "change_percent",
        "change_p",
    ])?;
    for (index, run) in history.runs.iter().enumerate() {
        for (endpoint, p95_ms) in &run.p95_ms {
            let change = history
                .changes
                .iter()
                .find(|change| change.run == index && change.endpoint == *endpoint);
            writer.write_record([
                run.started_at.to_rfc3339(),
                run.file.clone(),
                run.load.clone(),
                run.build.clone(),
                run.grade.name().to_owned(),
                format!("{:.3}", run.rate),
                format!("{:.4}", run.error_percent),
                endpoint.clone(),
                format!("{p95_ms:.3}"),
                change.map(|change| format!("{:+.2}", change.shift_percent)).unwrap_or_default(),
                change.map(|change| format!("{:.4}", change.p_value)).unwrap_or_default(),
            ])?;
        }
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn headline(comparison: &Comparison) -> String {
    let named = |change: Change| -> Vec<&str> {
        let found = comparison.endpoints.iter().filter(|endpoint| endpoint.change == change);
        found.map(|endpoint| endpoint.name.as_str()).collect()
    };
    let worse: Vec<String> = comparison
        .run
        .iter()
        .filter(|metric| metric.change == comparison.change)
        .map(|metric| {
            format!("{} {:.2} → {:.2} {}", metric.name, metric.base, metric.new, metric.unit)
        })
        .collect();
    let total = comparison.endpoints.len();
    let names = named(comparison.change);
    let reason = match comparison.change {
        Change::Regressed if names.is_empty() => format!("worse: {}", worse.join(", ")),
        Change::Regressed if worse.is_empty() => format!("slower: {}", names.join(", ")),
        Change::Regressed => {
            format!("worse: {}; slower: {}", worse.join(", "), names.join(", "))
        }
        Change::Inconclusive if names.is_empty() => {
            format!("worse, but not significantly: {}", worse.join(", "))
        }
        Change::Inconclusive => format!("{} of {total} endpoints inconclusive", names.len()),
        Change::Improved => format!("faster: {}; other endpoints unchanged", names.join(", ")),
        Change::Equivalent => format!("all {total} endpoints unchanged within their margins"),
    };
    format!("{}: {reason} ({})", label(comparison, comparison.change), comparison.load)
}

fn label(comparison: &Comparison, change: Change) -> String {
    let advisory = if comparison.advisory { " (advisory)" } else { "" };
    format!("{}{advisory}", change.name())
}

fn cells(endpoint: &EndpointChange) -> Vec<String> {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".into(), format_ms);
    vec![
        format!("{} / {}", endpoint.base_runs, endpoint.new_runs),
        ms(endpoint.base_p95_ms),
        ms(endpoint.new_p95_ms),
        endpoint.shift_percent.map_or_else(|| "–".into(), |shift| format!("{shift:+.1} %")),
        format!("± {:.1} %", endpoint.margin_percent),
        p_value(endpoint.p_slower),
        p_value(endpoint.p_faster),
    ]
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}
