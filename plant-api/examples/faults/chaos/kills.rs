//! What is killed, and when: drawn from the seed, every kind about as often.

use std::fmt;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::Options;
use super::processes::Programs;
use crate::shell;

/// Shell commands.
#[derive(Args, Clone)]
pub struct Commands {
    /// Kills Redis.
    #[arg(long)]
    kill_redis: String,
    /// Empties Redis.
    #[arg(long)]
    empty_redis: String,
    /// Kills PostgreSQL, all of its processes.
    #[arg(long)]
    kill_postgresql: String,
    /// Stops PostgreSQL as an administrator would.
    #[arg(long)]
    stop_postgresql: String,
    /// Starts whichever of them does not run.
    #[arg(long)]
    start_services: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kill {
    Service,
    Worker,
    Redis,
    Emptied,
    Postgresql,
    Restarted,
}

const KINDS: [(Kill, &str); 6] = [
    (Kill::Service, "service"),
    (Kill::Worker, "worker"),
    (Kill::Redis, "Redis"),
    (Kill::Emptied, "Redis emptied"),
    (Kill::Postgresql, "PostgreSQL"),
    (Kill::Restarted, "PostgreSQL restarted"),
];

/// Between two kills, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 500..3_000;
/// Until what was killed is started again, in milliseconds.
const AWAY: std::ops::Range<u64> = 0..1_000;

/// The kills to come.
pub struct Kills {
    draw: fastrand::Rng,
    commands: Commands,
    order: Vec<Kill>,
}

impl Kills {
    /// As the options say.
    pub fn new(options: &Options) -> Self {
        let mut draw = fastrand::Rng::with_seed(options.seed);
        let mut order: Vec<_> =
            KINDS.iter().cycle().take(options.kills).map(|(kill, _)| *kill).collect();
        if options.only_postgresql {
            order.fill(Kill::Postgresql);
        }
        draw.shuffle(&mut order);
        Self { draw, commands: options.commands.clone(), order }
    }

    /// Does all of it. Everything runs again at the end.
    pub async fn all(mut self, programs: &mut Programs) -> anyhow::Result<Done> {
        for kill in self.order.clone() {
            sleep(Duration::from_millis(self.draw.u64(BETWEEN))).await;
            let away = Duration::from_millis(self.draw.u64(AWAY));
            self.one(kill, away, programs).await?;
        }
        Ok(Done(self.order))
    }

    async fn one(&self, kill: Kill, away: Duration, run: &mut Programs) -> anyhow::Result<()> {
        let commands = &self.commands;
        let (command, program) = match kill {
            Kill::Service => (None, Some(&mut run.service)),
            Kill::Worker => (None, Some(&mut run.worker)),
            Kill::Redis => (Some(&commands.kill_redis), None),
            Kill::Emptied => (Some(&commands.empty_redis), None),
            Kill::Postgresql => (Some(&commands.kill_postgresql), None),
            Kill::Restarted => (Some(&commands.stop_postgresql), None),
        };
        if let Some(program) = program {
            program.kill().await?;
            sleep(away).await;
            program.start_again()?;
        }
        if let Some(command) = command {
            shell::run(command).await?;
            sleep(away).await;
            shell::run(&commands.start_services).await?;
        }
        Ok(())
    }
}

/// The kills that were.
pub struct Done(Vec<Kill>);

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = KINDS.iter().filter_map(|(kind, name)| {
            let count = self.0.iter().filter(|kill| *kill == kind).count();
            (count > 0).then(|| format!("{name} {count}"))
        });
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
