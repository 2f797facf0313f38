//! Progress output on standard error: a bar on a terminal, otherwise a line every two seconds. Runs
//! shorter than two seconds print nothing.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Delay of the first output, and interval of the lines.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);
const BAR_TEMPLATE: &str = "{elapsed:>4} [{bar:40}] {human_pos} of {human_len}, {eta} left";

/// Progress of a run, in agents and customers.
#[derive(Debug)]
pub struct Progress {
    started_at: Instant,
    updated_at: Instant,
    bar: ProgressBar,
    on_terminal: bool,
}

impl Progress {
    /// Starts at 0 of `total` rows.
    pub fn new(total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(BAR_TEMPLATE) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { started_at: now, updated_at: now, bar, on_terminal: io::stderr().is_terminal() }
    }

    /// Adds `rows` finished rows, and prints the progress when it is due.
    pub fn advance(&mut self, rows: usize) {
        self.bar.inc(rows as u64);
        if self.updated_at.elapsed() < UPDATE_INTERVAL {
            return;
        }
        self.updated_at = Instant::now();
        if !self.on_terminal {
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            eprintln!("{:>4.0?} {done} of {total} agents and customers", self.started_at.elapsed());
        } else if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Removes the bar and returns the time since the start.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.started_at.elapsed()
    }
}
