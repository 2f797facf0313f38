//! How many jobs a second go from a committed row to a committed end when there is nothing to do
//! in between.
//!
//! Makers insert each job in a transaction of its own, as requests do; one worker does them. Both
//! share one pool, as in `plant-api serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use futures::FutureExt;
use futures::future::BoxFuture;
use plant_api::clock::Clock;
use plant_api::db::{Bounds, Db};
use plant_api::error::Result;
use plant_api::jobs::{self, Failure, Handler, Job, Kind, NewJob};
use plant_api::metrics::Metrics;
use plant_api::queue::Queue;
use plant_api::redis::Redis;
use plant_api::worker::Worker;
use serde_json::Value;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

/// Where, and how many.
#[derive(Parser)]
struct Options {
    /// A migrated database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// Redis; empty: the worker looks by itself.
    #[arg(long, env = "REDIS_URL", default_value = "", hide_env_values = true)]
    redis_url: String,
    /// Jobs.
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// Those who make them, each one after the other.
    #[arg(long, default_value_t = 8)]
    makers: usize,
    /// Owners, who take turns.
    #[arg(long, default_value_t = 100)]
    owners: u64,
    /// Make all jobs before the worker begins.
    #[arg(long)]
    queued: bool,
}

const KIND: Kind =
    Kind { name: "empty", queue: "empty_queue", at_once: 256, time_limit: Duration::from_secs(10) };

struct Empty;

impl Handler for Empty {
    fn kind(&self) -> Kind {
        KIND
    }

    fn run<'a>(&'a self, _: &'a Job) -> BoxFuture<'a, Result<Value, Failure>> {
        std::future::ready(Ok(Value::Null)).boxed()
    }

    fn keep<'a>(
        &'a self,
        _: &'a mut PgConnection,
        _: &'a Job,
        _: &'a Value,
    ) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn bury<'a>(
        &'a self,
        _: &'a mut PgConnection,
        _: &'a Job,
        _: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (metrics, stop) = (Metrics::new()?, CancellationToken::new());
    let bounds = Bounds {
        connections: 14,
        checkout: Duration::from_secs(10),
        statement: Duration::from_secs(10),
    };
    let db = Db::new(options.database_url.parse()?, bounds, metrics.db_waits.clone());
    let redis = Redis::new((!options.redis_url.is_empty()).then_some(&*options.redis_url))?;
    let queue = Queue::new(redis.clone(), "");
    tokio::spawn(redis.beat(stop.clone()));
    tokio::spawn(queue.clone().keep(stop.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;

    let worker = Worker::new(db.clone(), queue.clone(), metrics.clone(), vec![Arc::new(Empty)]);
    let work = |worker: Worker| tokio::spawn(worker.run(stop.clone(), Duration::from_secs(20)));
    let completed = metrics.jobs.with_label_values(&[KIND.name, "completed"]);

    let mut began = Instant::now();
    let mut working = (!options.queued).then(|| work(worker.clone()));
    make(&options, &db, &queue).await?;
    let made = began.elapsed();
    if options.queued {
        began = Instant::now();
        working = Some(work(worker));
    }
    while completed.get() < options.jobs {
        ensure!(began.elapsed() < Duration::from_secs(300), "{} done only", completed.get());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = began.elapsed();
    stop.cancel();
    working.context("a worker was begun")?.await?;
    let rate = |took: Duration| options.jobs as f64 / took.as_secs_f64();
    println!(
        "{} jobs: made in {:.2} s ({:.0}/s), done {:.2} s after {} ({:.0}/s)",
        options.jobs,
        made.as_secs_f64(),
        rate(made),
        done.as_secs_f64(),
        if options.queued { "the worker began" } else { "the first was made" },
        rate(done),
    );
    Ok(())
}

async fn make(options: &Options, db: &Db, queue: &Queue) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let makers = (0..options.makers).map(|_| {
        let (db, queue, next) = (db.clone(), queue.clone(), next.clone());
        let (jobs, owners) = (options.jobs, options.owners);
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= jobs {
                    return Ok::<_, plant_api::error::Error>(());
                }
                let owner = (n % owners).to_string();
                let job = NewJob::new(&Clock::System, KIND, owner, &())?;
                let mut tx = db.begin().await?;
                jobs::enqueue(&mut tx, &job).await?;
                tx.commit().await?;
                queue.announce(KIND.queue, job.id);
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await??;
    }
    Ok(())
}
