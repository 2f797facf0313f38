//! How far planting has come, for whoever waits: nothing in the first two seconds, then a bar on a
//! terminal and a line now and then elsewhere.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const PATIENCE: Duration = Duration::from_secs(2);
const BAR: &str = "{elapsed:>4} [{bar:40}] {human_pos} of {human_len}, {eta} left";

/// Rows done of those to do.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    told: Instant,
    bar: ProgressBar,
    on_terminal: bool,
}

impl Progress {
    /// None of `total` rows yet.
    pub fn new(total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self { began: now, told: now, bar, on_terminal: io::stderr().is_terminal() }
    }

    /// `rows` more.
    pub fn advance(&mut self, rows: usize) {
        self.bar.inc(rows as u64);
        if self.told.elapsed() < PATIENCE {
            return;
        }
        self.told = Instant::now();
        if !self.on_terminal {
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            eprintln!("{:>4.0?} {done} of {total} agents and customers", self.began.elapsed());
        } else if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Since the beginning; takes the bar away.
    pub fn finish(self) -> Duration {
        self.bar.finish_and_clear();
        self.began.elapsed()
    }
}
