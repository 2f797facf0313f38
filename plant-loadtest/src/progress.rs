//! What one sees while a run goes on: a bar on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal as _,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinHandle, time::interval};

use crate::{
    profile::{Plan, Stage},
    recorder::{Live, Recorder},
    sla::milliseconds,
    timespan,
};

const BAR_EVERY: Duration = Duration::from_millis(500);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress being shown.
#[derive(Debug)]
pub struct Progress {
    task: Option<JoinHandle<()>>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts to show how `recorder` fills, on standard error, unless `quiet`.
    #[must_use]
    pub fn start(plan: &Plan, recorder: Arc<Recorder>, quiet: bool) -> Self {
        if quiet {
            return Self { task: None, bar: None };
        }
        let stages = plan.stages.clone();
        eprintln!("{}: {}", plan.profile, announcement(plan));
        if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(u64::from(plan.seconds()));
            if let Ok(style) = ProgressStyle::with_template("{bar:30.green} {msg}") {
                bar.set_style(style);
            }
            let task = tokio::spawn(draw_bar(bar.clone(), stages, recorder));
            return Self { task: Some(task), bar: Some(bar) };
        }
        Self { task: Some(tokio::spawn(print_lines(stages, recorder))), bar: None }
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

async fn draw_bar(bar: ProgressBar, stages: Vec<Stage>, recorder: Arc<Recorder>) {
    let mut tick = interval(BAR_EVERY);
    loop {
        tick.tick().await;
        let live = recorder.live();
        bar.set_position(live.elapsed.map_or(0, |elapsed| elapsed.as_secs()));
        bar.set_message(line(&live, &stages));
    }
}

async fn print_lines(stages: Vec<Stage>, recorder: Arc<Recorder>) {
    let mut tick = interval(Duration::from_millis(200));
    let mut printed = Instant::now();
    loop {
        tick.tick().await;
        if printed.elapsed() >= LINE_EVERY {
            printed = Instant::now();
            eprintln!("{}", line(&recorder.live(), &stages));
        }
    }
}

fn line(live: &Live, stages: &[Stage]) -> String {
    let elapsed = live.elapsed.map_or(0, |elapsed| elapsed.as_secs());
    let total = stages.last().map_or(0, |stage| stage.to_s);
    let stage = stages.iter().find(|stage| elapsed < u64::from(stage.to_s));
    let doing = if goose::is_killswitch_triggered() {
        "stopping"
    } else {
        stage.map_or("finishing", |stage| stage.name.as_str())
    };
    let p95 = live.p95_ms.map_or_else(|| "n/a".to_owned(), milliseconds);
    format!(
        "{}/{} {doing} · {} users · {:.1} req/s · P95 {p95} · {} requests · {} errors",
        timespan::display(elapsed),
        timespan::display(u64::from(total)),
        live.users,
        live.rate,
        live.sent,
        live.errors,
    )
}
