//! Logging: text or JSON lines to standard error or a file, and a count of events per level.

use std::fs::OpenOptions;
use std::io;
use std::sync::Mutex;

use prometheus::IntCounterVec;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogConfig, LogFormat};

/// Installs the global logger; `events` counts log events by level.
///
/// # Errors
/// Returns an error if the log file cannot be opened or a logger is installed already.
pub fn init(config: &LogConfig, events: IntCounterVec) -> io::Result<()> {
    let writer = match &config.file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(|e| {
                io::Error::new(e.kind(), format!("LOG_FILE {}: {e}", path.display()))
            })?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(io::stderr),
    };
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    let layer = match config.format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(EnvFilter::new(&config.level))
        .with(layer)
        .with(EventCounter(events))
        .try_init()
        .map_err(io::Error::other)
}

/// Counts log events, so that a load test can verify that no errors were logged.
struct EventCounter(IntCounterVec);

impl<S: Subscriber> Layer<S> for EventCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        self.0.with_label_values(&[level.as_str()]).inc();
    }
}
