//! Spans of statements, from the log events in which sqlx reports each executed statement.

use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{self, Filter};
use tracing_subscriber::registry::LookupSpan;

/// Target of sqlx's events.
const STATEMENT_TARGET: &str = "sqlx::query";

/// A layer that records the statements of sampled requests as spans; other requests pay for a check.
#[derive(Debug, Clone, Copy)]
pub struct StatementSpans;

impl StatementSpans {
    /// Returns the layer with its filter.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> {
        self.with_filter(SampledStatements)
    }
}

impl<S: Subscriber> Layer<S> for StatementSpans {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        Context::map_current(|parent| {
            if let Some(tracer) = parent.get::<SdkTracer>() {
                statement.record_span(tracer, parent);
            }
        });
    }
}

/// Enables the events of statements while a sampled request is running.
struct SampledStatements;

impl<S> Filter<S> for SampledStatements {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        metadata.target() == STATEMENT_TARGET
            && Context::map_current(|current| current.get::<SdkTracer>().is_some())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let is_statement =
            metadata.target() == STATEMENT_TARGET && *metadata.level() <= Level::DEBUG;
        if is_statement { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}

/// What an event says of a statement.
#[derive(Debug, Default, PartialEq)]
struct Statement {
    /// The text, shortened to its first words if `text` is not empty.
    summary: String,
    text: String,
    seconds: f64,
    rows: u64,
}

impl Statement {
    fn record_span(&self, tracer: &SdkTracer, parent: &Context) {
        let text = if self.text.is_empty() { &self.summary } else { &self.text };
        let end = SystemTime::now();
        let duration = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let name = summarize(text);
        let attributes = [
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("db.query.summary", name.clone()),
            KeyValue::new(
                "db.response.returned_rows",
                i64::try_from(self.rows).unwrap_or(i64::MAX),
            ),
        ];
        let mut span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Client)
            .with_start_time(end.checked_sub(duration).unwrap_or(end))
            .with_attributes(attributes)
            .start_with_context(tracer, parent);
        span.end_with_timestamp(end);
    }
}

impl Visit for Statement {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.text),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Returns the operation of a statement and the first table that it names, such as `select agent`. The
/// text itself is not exported: it may contain values.
fn summarize(text: &str) -> String {
    let is_name = |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut words = text.split_ascii_whitespace();
    let operation = words.next().map(|word| word.trim_end_matches(';'));
    let operation = operation.filter(is_name).filter(|word| !word.is_empty());
    let operation = operation.unwrap_or("statement").to_ascii_lowercase();
    let table = if operation == "update" {
        words.next()
    } else {
        words.find(|word| matches!(*word, "from" | "into")).and_then(|_| words.next())
    };
    match table.map(|table| table.trim_end_matches([',', ';', ')'])).filter(is_name) {
        Some(table) if !table.is_empty() => format!("{operation} {table}"),
        _ => operation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_operation_and_a_table() {
        for (text, expected) in [
            ("select id, name\nfrom agent\nwhere id = $1", "select agent"),
            ("insert into goal (id) values ($1)", "insert goal"),
            ("update job set state = 'done'", "update job"),
            ("delete from session;", "delete session"),
            ("COMMIT", "commit"),
            ("begin; set local lock_timeout = 1", "begin"),
            ("select 1", "select"),
            ("select * from (select 1)", "select"),
            ("select set_config('plant.tenant_id', 'secret', true)", "select"),
            ("'secret'", "statement"),
            ("", "statement"),
        ] {
            assert_eq!(summarize(text), expected, "{text}");
        }
    }
}
