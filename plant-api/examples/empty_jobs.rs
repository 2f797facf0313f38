//! Benchmark of the job queue: throughput of jobs with an empty handler, from the committed insert
//! to the committed completion.
//!
//! Producers insert each job in a transaction of its own, as requests do; one worker runs them.
//! Both share one connection pool, as in `plant-api serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use plant_api::cache::Cache;
use plant_api::clock::Clock;
use plant_api::db::{DatabaseLimits, Db};
use plant_api::jobs::{self, Failure, Job, JobHandler, JobKind, NewJob};
use plant_api::metrics::Metrics;
use plant_api::queue::Queue;
use plant_api::redis::Redis;
use plant_api::tunables::{Defaults, Tunables};
use plant_api::worker::{AnyJobHandler, Worker};
use tokio_util::sync::CancellationToken;

/// Measure the throughput of jobs with an empty handler.
#[derive(Parser)]
struct Options {
    /// URL of a migrated database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// URL of Redis; empty: the worker polls the database.
    #[arg(long, env = "REDIS_URL", default_value = "", hide_env_values = true)]
    redis_url: String,
    /// Number of jobs.
    #[arg(long, default_value_t = 20_000)]
    jobs: u64,
    /// Number of concurrent producers.
    #[arg(long = "makers", default_value_t = 8)]
    producers: usize,
    /// Number of job owners; they are served round-robin.
    #[arg(long, default_value_t = 100)]
    owners: u64,
    /// Enqueue all jobs before the worker starts.
    #[arg(long = "queued")]
    enqueue_first: bool,
}

struct EmptyHandler;

impl JobHandler for EmptyHandler {
    const KIND: JobKind = JobKind {
        name: "empty",
        queue: "empty_queue",
        max_concurrency: 256,
        prefetches: false,
        timeout: Duration::from_secs(10),
    };
    type Payload = ();
    type Output = ();

    async fn run(&self, _: &Job, (): ()) -> Result<(), Failure> {
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (metrics, shutdown) = (Metrics::new()?, CancellationToken::new());
    let limits = DatabaseLimits {
        max_connections: 14,
        acquire_timeout: Duration::from_secs(10),
        congestion_target: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(10),
    };
    let db = Db::new(options.database_url.parse()?, limits, metrics.db_pool_wait.clone());
    let redis = Redis::new((!options.redis_url.is_empty()).then_some(&*options.redis_url))?;
    let queue = Queue::new(redis.clone(), "");
    let cache = Cache::new(redis.clone(), metrics.cache_requests.clone());
    tokio::spawn(redis.run_heartbeat(shutdown.clone()));
    tokio::spawn(queue.clone().run_push_loop(shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(300)).await;

    // The kind has no tunable.
    let defaults = Defaults {
        cache_ttl: limits.statement_timeout,
        topics: Vec::new(),
        page_size: 500,
        statement_timeout: limits.statement_timeout,
        workers: Vec::new(),
    };
    let tunables = Tunables::new(&defaults, metrics.tunables_version.clone());
    let worker = Worker::new(
        db.clone(),
        queue.clone(),
        cache,
        metrics.clone(),
        tunables,
        vec![AnyJobHandler::new(EmptyHandler)],
    );
    let start =
        |worker: Worker| tokio::spawn(worker.run(shutdown.clone(), Duration::from_secs(20)));
    let completed = metrics.jobs.with_label_values(&[EmptyHandler::KIND.name, "completed"]);

    let mut started_at = Instant::now();
    let mut worker_task = (!options.enqueue_first).then(|| start(worker.clone()));
    enqueue_all(&options, &db, &queue).await?;
    let enqueue_time = started_at.elapsed();
    if options.enqueue_first {
        started_at = Instant::now();
        worker_task = Some(start(worker));
    }
    while completed.get() < options.jobs {
        ensure!(
            started_at.elapsed() < Duration::from_secs(300),
            "timed out after 300 s with {} of {} jobs completed",
            completed.get(),
            options.jobs
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let completion_time = started_at.elapsed();
    shutdown.cancel();
    worker_task.context("the worker was not started")?.await?;
    let rate = |time: Duration| options.jobs as f64 / time.as_secs_f64();
    println!(
        "{} jobs: enqueued in {:.2} s ({:.0}/s), completed {:.2} s after {} ({:.0}/s)",
        options.jobs,
        enqueue_time.as_secs_f64(),
        rate(enqueue_time),
        completion_time.as_secs_f64(),
        if options.enqueue_first { "the worker started" } else { "the first was enqueued" },
        rate(completion_time),
    );
    Ok(())
}

async fn enqueue_all(options: &Options, db: &Db, queue: &Queue) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let producers = (0..options.producers).map(|_| {
        let (db, queue, next) = (db.clone(), queue.clone(), next.clone());
        let (jobs, owners) = (options.jobs, options.owners);
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= jobs {
                    return Ok::<_, plant_api::error::Error>(());
                }
                let owner = (n % owners).to_string();
                let job = NewJob::new::<EmptyHandler>(&Clock::System, owner, &())?;
                let mut tx = db.begin().await?;
                jobs::enqueue(&mut tx, &job).await?;
                tx.commit().await?;
                queue.push_later(EmptyHandler::KIND.queue, job.id);
            }
        })
    });
    for producer in producers.collect::<Vec<_>>() {
        producer.await??;
    }
    Ok(())
}
