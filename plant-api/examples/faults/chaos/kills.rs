//! Schedule of the kills: order and times are derived from the seed; each kind occurs about equally
//! often.

use std::fmt;
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::{Options, Programs};
use crate::shell;

/// Shell commands that stop and start the dependencies.
#[derive(Args, Clone)]
pub struct Commands {
    /// Command that kills Redis.
    #[arg(long)]
    kill_redis: String,
    /// Command that deletes all keys in Redis.
    #[arg(long)]
    empty_redis: String,
    /// Command that kills all processes of PostgreSQL.
    #[arg(long)]
    kill_postgresql: String,
    /// Command that shuts PostgreSQL down in an orderly way.
    #[arg(long)]
    stop_postgresql: String,
    /// Command that starts PostgreSQL and Redis if they are not running.
    #[arg(long)]
    start_services: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Kill {
    Service,
    Worker,
    Redis,
    RedisEmptied,
    Postgresql,
    PostgresqlRestarted,
}

const KINDS: [(Kill, &str); 6] = [
    (Kill::Service, "service"),
    (Kill::Worker, "worker"),
    (Kill::Redis, "Redis"),
    (Kill::RedisEmptied, "Redis emptied"),
    (Kill::Postgresql, "PostgreSQL"),
    (Kill::PostgresqlRestarted, "PostgreSQL restarted"),
];

/// Delay before each kill, in milliseconds.
const KILL_DELAY_MS: std::ops::Range<u64> = 500..3_000;
/// Time from a kill to the restart, in milliseconds.
const DOWNTIME_MS: std::ops::Range<u64> = 0..1_000;

/// The scheduled kills.
pub struct Kills {
    rng: fastrand::Rng,
    commands: Commands,
    order: Vec<Kill>,
}

impl Kills {
    /// Creates the schedule.
    pub fn new(options: &Options) -> Self {
        let mut rng = fastrand::Rng::with_seed(options.seed);
        let mut order: Vec<_> =
            KINDS.iter().cycle().take(options.kills).map(|(kill, _)| *kill).collect();
        if options.only_postgresql {
            order.fill(Kill::Postgresql);
        }
        rng.shuffle(&mut order);
        Self { rng, commands: options.commands.clone(), order }
    }

    /// Executes all kills. All processes are running again when it returns.
    pub async fn run(mut self, programs: &mut Programs) -> anyhow::Result<Summary> {
        for kill in self.order.clone() {
            sleep(Duration::from_millis(self.rng.u64(KILL_DELAY_MS))).await;
            let downtime = Duration::from_millis(self.rng.u64(DOWNTIME_MS));
            self.execute(kill, downtime, programs).await?;
        }
        Ok(Summary(self.order))
    }

    async fn execute(
        &mut self,
        kill: Kill,
        downtime: Duration,
        programs: &mut Programs,
    ) -> anyhow::Result<()> {
        let commands = &self.commands;
        let (command, program) = match kill {
            Kill::Service => (None, self.rng.choice(&mut programs.services)),
            Kill::Worker => (None, self.rng.choice(&mut programs.workers)),
            Kill::Redis => (Some(&commands.kill_redis), None),
            Kill::RedisEmptied => (Some(&commands.empty_redis), None),
            Kill::Postgresql => (Some(&commands.kill_postgresql), None),
            Kill::PostgresqlRestarted => (Some(&commands.stop_postgresql), None),
        };
        if let Some(program) = program {
            program.kill().await?;
            sleep(downtime).await;
            program.restart()?;
        }
        if let Some(command) = command {
            shell::run(command).await?;
            sleep(downtime).await;
            shell::run(&commands.start_services).await?;
        }
        Ok(())
    }
}

/// Executed kills; displayed as counts by kind.
pub struct Summary(Vec<Kill>);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = KINDS.iter().filter_map(|(kind, name)| {
            let count = self.0.iter().filter(|kill| *kill == kind).count();
            (count > 0).then(|| format!("{name} {count}"))
        });
        f.write_str(&counts.collect::<Vec<_>>().join(", "))
    }
}
