//! Progress output of a run on standard error: a progress bar on a terminal, otherwise lines of
//! text or of JSON.

use std::{
    io::IsTerminal as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::interval};

use crate::{
    console::{self, print_error},
    duration,
    load::Stage,
    outcome::ResourceSample,
    profile::Plan,
    recorder::{LiveStats, Recorder},
    sla::format_ms,
};

const BAR_INTERVAL: Duration = Duration::from_millis(500);
/// Width of the progress bar, in columns.
const BAR_WIDTH: usize = 10;
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between two checks whether the next line must be printed.
const LINE_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Progress output format
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressFormat {
    /// Text, or a progress bar on a terminal
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Options of the progress output.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgressOptions {
    /// Whether to print nothing.
    pub quiet: bool,
    /// Output format.
    pub format: ProgressFormat,
    /// Whether to print without colors.
    pub no_color: bool,
}

/// Progress output in a background task. It runs until [`Progress::stop`] is called.
#[derive(Debug)]
pub struct Progress {
    task: Option<JoinHandle<()>>,
    bar: Option<ProgressBar>,
}

/// Sources of the values to print.
struct Source {
    stages: Vec<Stage>,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
}

impl Progress {
    /// Starts to print the state of `recorder` to standard error at regular intervals.
    #[must_use]
    pub fn start(
        plan: &Plan,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
        options: ProgressOptions,
    ) -> Self {
        if options.quiet {
            return Self { task: None, bar: None };
        }
        let source = Source { stages: plan.stages.clone(), recorder, samples };
        if options.format == ProgressFormat::Json {
            log_event("started", json!({ "profile": plan.profile, "seconds": plan.seconds() }));
            return Self { task: Some(tokio::spawn(log_lines(source))), bar: None };
        }
        print_error(&format!("{}: {}", plan.profile, describe(plan)));
        let stderr = std::io::stderr();
        if stderr.is_terminal() && !console::is_dumb() {
            let bar = new_bar(plan, console::has_colors(&stderr, options.no_color));
            let task = tokio::spawn(draw_bar(bar.clone(), source));
            return Self { task: Some(task), bar: Some(bar) };
        }
        Self { task: Some(tokio::spawn(print_lines(source))), bar: None }
    }

    /// Stops the output and removes the progress bar.
    pub fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes an event as one line of JSON to standard error.
pub fn log_event(event: &str, fields: Value) {
    let now: DateTime<Utc> = SystemTime::now().into();
    let mut line = json!({ "timestamp": now.to_rfc3339(), "level": "info", "event": event });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    print_error(&line.to_string());
}

/// Returns the number of users, and the name and length of each stage.
fn describe(plan: &Plan) -> String {
    let stages: Vec<String> = plan
        .stages
        .iter()
        .map(|stage| {
            let length = duration::format(u64::from(stage.to_s - stage.from_s));
            format!("{} {length}", stage.name)
        })
        .collect();
    format!("{} users, {}", plan.users, stages.join(", "))
}

/// Returns a bar on the line of the cursor, which is drawn only by [`draw_bar`].
fn new_bar(plan: &Plan, colored: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(
        Some(u64::from(plan.seconds())),
        // Not more often than it has something new.
        ProgressDrawTarget::stderr_with_hz(2),
    );
    let color = if colored { ".green" } else { "" };
    let template = format!("{{bar:{BAR_WIDTH}{color}}} {{wide_msg}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

async fn draw_bar(bar: ProgressBar, source: Source) {
    let mut interval = interval(BAR_INTERVAL);
    loop {
        interval.tick().await;
        let snapshot = source.snapshot();
        let width = console::terminal_width(&std::io::stderr()).unwrap_or(console::DEFAULT_WIDTH);
        bar.set_position(u64::from(snapshot.elapsed_s));
        bar.set_message(snapshot.short_line(width.saturating_sub(BAR_WIDTH + 2)));
    }
}

async fn print_lines(source: Source) {
    repeat(|| print_error(&source.snapshot().line())).await;
}

async fn log_lines(source: Source) {
    repeat(|| log_event("progress", source.snapshot().json_fields())).await;
}

/// Calls `print` every [`LINE_INTERVAL`].
async fn repeat(print: impl Fn()) {
    let mut interval = interval(LINE_POLL_INTERVAL);
    let mut printed_at = Instant::now();
    loop {
        interval.tick().await;
        if printed_at.elapsed() >= LINE_INTERVAL {
            printed_at = Instant::now();
            print();
        }
    }
}

impl Source {
    fn snapshot(&self) -> Snapshot {
        let live = self.recorder.live_stats();
        let elapsed = live.elapsed.map_or(0, |elapsed| elapsed.as_secs());
        let elapsed_s = u32::try_from(elapsed).unwrap_or(u32::MAX);
        let stage = self.stages.iter().find(|stage| elapsed_s < stage.to_s);
        let phase = if goose::is_killswitch_triggered() {
            "stopping".to_owned()
        } else {
            stage.map_or_else(|| "finishing".to_owned(), |stage| stage.name.clone())
        };
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = samples.last().and_then(|sample| sample.service.queue_depth);
        let total_s = self.stages.last().map_or(0, |stage| stage.to_s);
        Snapshot { live, phase, queue, elapsed_s, total_s }
    }
}

/// Returns a number with its noun.
fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// State of a run at one moment.
struct Snapshot {
    live: LiveStats,
    /// Name of the current stage, or what happens after the last one.
    phase: String,
    queue: Option<f64>,
    elapsed_s: u32,
    total_s: u32,
}

impl Snapshot {
    fn left_s(&self) -> u32 {
        self.total_s.saturating_sub(self.elapsed_s)
    }

    fn line(&self) -> String {
        let Self { live, phase, .. } = self;
        let p95 = live.p95_ms.map_or_else(|| "n/a".to_owned(), format_ms);
        let queue = self.queue.map(|depth| format!(" · queue {depth:.0}")).unwrap_or_default();
        format!(
            "{} {phase}, {} left · {} users · {:.1} req/s · P95 {p95} · {} · {}{queue}",
            duration::format(u64::from(self.elapsed_s)),
            duration::format(u64::from(self.left_s())),
            live.users,
            live.rate,
            count(live.sent, "request"),
            count(live.errors, "error"),
        )
    }

    /// Returns the values in at most `width` columns, without those that have no room.
    fn short_line(&self, width: usize) -> String {
        let Self { live, phase, .. } = self;
        let p95 =
            live.p95_ms.map_or_else(|| "P95 -".to_owned(), |ms| format!("P95 {}", format_ms(ms)));
        let left = format!("{phase} -{}", duration::format(u64::from(self.left_s())));
        // The most important first.
        let parts = [
            Some(left),
            Some(format!("{:.1} req/s", live.rate)),
            Some(p95),
            Some(count(live.errors, "error")),
            Some(count(live.users.into(), "user")),
            self.queue.map(|depth| format!("queue {depth:.0}")),
        ];
        let mut line = String::new();
        for part in parts.into_iter().flatten() {
            let separator = if line.is_empty() { "" } else { " · " };
            if line.chars().count() + separator.chars().count() + part.chars().count() > width {
                break;
            }
            line.push_str(separator);
            line.push_str(&part);
        }
        line
    }

    fn json_fields(&self) -> Value {
        let live = &self.live;
        json!({
            "stage": self.phase,
            "elapsed_s": self.elapsed_s,
            "left_s": self.left_s(),
            "users": live.users,
            "requests_per_s": live.rate,
            "p95_ms": live.p95_ms,
            "requests": live.sent,
            "errors": live.errors,
            "queue": self.queue,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(queue: Option<f64>) -> Snapshot {
        let live = LiveStats { users: 3, sent: 70, errors: 1, rate: 2.5, ..LiveStats::default() };
        Snapshot { live, phase: "steady".into(), queue, elapsed_s: 30, total_s: 100 }
    }

    #[test]
    fn a_line_contains_the_remaining_time() {
        let expected =
            "30s steady, 1m10s left · 3 users · 2.5 req/s · P95 n/a · 70 requests · 1 error";
        assert_eq!(snapshot(None).line(), expected);
        assert!(snapshot(Some(4.0)).line().ends_with("· queue 4"));
    }

    #[test]
    fn the_line_of_a_terminal_has_what_it_has_room_for() {
        let full = "steady -1m10s · 2.5 req/s · P95 - · 1 error · 3 users · queue 4";
        let snapshot = snapshot(Some(4.0));
        assert_eq!(snapshot.short_line(68), full);
        assert_eq!(snapshot.short_line(full.chars().count() - 1), full.replace(" · queue 4", ""));
        assert_eq!(snapshot.short_line(28), "steady -1m10s · 2.5 req/s");
        for width in 0..80 {
            assert!(snapshot.short_line(width).chars().count() <= width, "{width}");
        }
    }

    #[test]
    fn json_fields_have_the_same_values() {
        let fields = snapshot(None).json_fields();
        assert_eq!((&fields["left_s"], &fields["errors"]), (&json!(70), &json!(1)));
        assert_eq!(fields["p95_ms"], Value::Null);
    }
}
