//! What one sees while a run goes on: a bar on a terminal, plain lines elsewhere, JSON for machines.

use std::{
    io::IsTerminal as _,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::interval};

use crate::{
    outcome::ResourceSample,
    profile::{Plan, Stage},
    recorder::{Live, Recorder},
    sla::milliseconds,
    timespan,
};

const BAR_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line, for whatever collects logs
    Json,
}

/// How much is told, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telling {
    /// Nothing at all.
    pub quiet: bool,
    /// For whom.
    pub format: LogFormat,
    /// Without colours.
    pub plain: bool,
}

/// Progress being shown.
#[derive(Debug)]
pub struct Progress {
    task: Option<JoinHandle<()>>,
    bar: Option<ProgressBar>,
}

/// What is watched.
struct Watched {
    stages: Vec<Stage>,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
}

impl Progress {
    /// Starts to show how `recorder` fills, on standard error.
    #[must_use]
    pub fn start(
        plan: &Plan,
        recorder: Arc<Recorder>,
        samples: Arc<Mutex<Vec<ResourceSample>>>,
        telling: Telling,
    ) -> Self {
        if telling.quiet {
            return Self { task: None, bar: None };
        }
        let watched = Watched { stages: plan.stages.clone(), recorder, samples };
        if telling.format == LogFormat::Json {
            log("started", json!({ "profile": plan.profile, "seconds": plan.seconds() }));
            return Self { task: Some(tokio::spawn(log_lines(watched))), bar: None };
        }
        eprintln!("{}: {}", plan.profile, announcement(plan));
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(u64::from(plan.seconds()));
            let template = if telling.plain { "{bar:30} {msg}" } else { "{bar:30.green} {msg}" };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let task = tokio::spawn(draw_bar(bar.clone(), watched));
            return Self { task: Some(task), bar: Some(bar) };
        }
        Self { task: Some(tokio::spawn(print_lines(watched))), bar: None }
    }

    /// Stops showing.
    pub fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Writes one event as a line of JSON to standard error.
pub fn log(event: &str, fields: Value) {
    let now: DateTime<Utc> = SystemTime::now().into();
    let mut line = json!({ "timestamp": now.to_rfc3339(), "level": "info", "event": event });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    eprintln!("{line}");
}

fn announcement(plan: &Plan) -> String {
    let stages: Vec<String> = plan
        .stages
        .iter()
        .map(|stage| {
            let length = timespan::display(u64::from(stage.to_s - stage.from_s));
            format!("{} {length}", stage.name)
        })
        .collect();
    format!("{} users, {}", plan.users, stages.join(", "))
}

async fn draw_bar(bar: ProgressBar, watched: Watched) {
    let mut tick = interval(BAR_EVERY);
    loop {
        tick.tick().await;
        let now = watched.look();
        bar.set_position(u64::from(now.elapsed_s));
        bar.set_message(now.line());
    }
}

async fn print_lines(watched: Watched) {
    every(LINE_EVERY, || eprintln!("{}", watched.look().line())).await;
}

async fn log_lines(watched: Watched) {
    every(LINE_EVERY, || log("progress", watched.look().fields())).await;
}

async fn every(time: Duration, tell: impl Fn()) {
    let mut tick = interval(Duration::from_millis(200));
    let mut told = Instant::now();
    loop {
        tick.tick().await;
        if told.elapsed() >= time {
            told = Instant::now();
            tell();
        }
    }
}

impl Watched {
    fn look(&self) -> Moment {
        let live = self.recorder.live();
        let elapsed = live.elapsed.map_or(0, |elapsed| elapsed.as_secs());
        let elapsed_s = u32::try_from(elapsed).unwrap_or(u32::MAX);
        let stage = self.stages.iter().find(|stage| elapsed_s < stage.to_s);
        let doing = if goose::is_killswitch_triggered() {
            "stopping".to_owned()
        } else {
            stage.map_or_else(|| "finishing".to_owned(), |stage| stage.name.clone())
        };
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = samples.last().and_then(|sample| sample.service.queue_depth);
        let total_s = self.stages.last().map_or(0, |stage| stage.to_s);
        Moment { live, doing, queue, elapsed_s, total_s }
    }
}

/// A run as it is right now.
struct Moment {
    live: Live,
    doing: String,
    queue: Option<f64>,
    elapsed_s: u32,
    total_s: u32,
}

impl Moment {
    fn left_s(&self) -> u32 {
        self.total_s.saturating_sub(self.elapsed_s)
    }

    fn line(&self) -> String {
        let Self { live, doing, .. } = self;
        let p95 = live.p95_ms.map_or_else(|| "n/a".to_owned(), milliseconds);
        let queue = self.queue.map(|depth| format!(" · queue {depth:.0}")).unwrap_or_default();
        format!(
            "{} {doing}, {} left · {} users · {:.1} req/s · P95 {p95} · {} requests · {} errors{queue}",
            timespan::display(u64::from(self.elapsed_s)),
            timespan::display(u64::from(self.left_s())),
            live.users,
            live.rate,
            live.sent,
            live.errors,
        )
    }

    fn fields(&self) -> Value {
        let live = &self.live;
        json!({
            "stage": self.doing,
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

    fn moment(queue: Option<f64>) -> Moment {
        let live = Live { users: 3, sent: 70, errors: 1, rate: 2.5, ..Live::default() };
        Moment { live, doing: "steady".into(), queue, elapsed_s: 30, total_s: 100 }
    }

    #[test]
    fn a_line_tells_how_much_is_left() {
        let expected =
            "30s steady, 1m10s left · 3 users · 2.5 req/s · P95 n/a · 70 requests · 1 errors";
        assert_eq!(moment(None).line(), expected);
        assert!(moment(Some(4.0)).line().ends_with("· queue 4"));
    }

    #[test]
    fn machines_read_the_same() {
        let fields = moment(None).fields();
        assert_eq!((&fields["left_s"], &fields["errors"]), (&json!(70), &json!(1)));
        assert_eq!(fields["p95_ms"], Value::Null);
    }
}
