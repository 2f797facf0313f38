//! Logging: text or JSON lines to standard error or a file, and a count of events per level.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use prometheus::IntCounterVec;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};
use crate::traces::StatementSpans;

/// Installs the global logger; `events` counts log events by level, `statements` records the spans of
/// statements.
///
/// # Errors
/// Returns an error if the log file cannot be opened or a logger is installed already.
pub fn init(
    config: &LogConfig,
    events: IntCounterVec,
    statements: Option<StatementSpans>,
) -> io::Result<()> {
    let writer = match &config.file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(|e| {
                io::Error::new(e.kind(), format!("LOG_FILE {}: {e}", path.display()))
            })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(io::stderr),
    };
    let filter = EnvFilter::new(&config.level);
    let registry = tracing_subscriber::registry();
    let installed = match statements {
        None => registry
            .with(filter)
            .with(log_lines(config.format, writer))
            .with(EventCounter(events))
            .try_init(),
        // The filter must not hide the events of statements from the other layer.
        Some(statements) => {
            let log = log_lines(config.format, writer).and_then(EventCounter(events));
            registry.with(log.with_filter(filter)).with(statements.layer()).try_init()
        }
    };
    installed.map_err(io::Error::other)
}

fn log_lines<S>(format: LogFormat, writer: BoxMakeWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Counts log events, so that a load test can verify that no errors were logged.
struct EventCounter(IntCounterVec);

impl<S: Subscriber> Layer<S> for EventCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        self.0.with_label_values(&[level.as_str()]).inc();
    }
}
