//! Looks once a second at what the service and the generator use.

mod exposition;
mod lag;
mod machine;
mod system;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

pub use exposition::Exposition;
use lag::Lag;
use machine::Scheduling;
pub use machine::{describe, processors};
use system::Neighbour;

use crate::{
    outcome::{ResourceSample, ServiceSample},
    recorder::Recorder,
};

/// A look that takes longer is given up: its second would be over.
const PATIENCE: Duration = Duration::from_millis(900);

/// A probe at work.
#[derive(Debug)]
pub struct Probe {
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts to look at the `/metrics` of `host`, and at its process if that is on this machine;
    /// samples are kept from the recorder's first user on.
    #[must_use]
    pub fn start(http: reqwest::Client, host: &str, recorder: Arc<Recorder>) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let service = Service {
            http,
            metrics_url: format!("{host}/metrics"),
            neighbour: Neighbour::at(host).map(Arc::new),
        };
        let task = tokio::spawn(look_every_second(service, recorder, Arc::clone(&samples)));
        Self { samples, task }
    }

    /// What it has seen and will see.
    #[must_use]
    pub fn samples(&self) -> Arc<Mutex<Vec<ResourceSample>>> {
        Arc::clone(&self.samples)
    }

    /// Stops looking; everything seen comes back.
    #[must_use]
    pub fn stop(self) -> Vec<ResourceSample> {
        self.task.abort();
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The labels of the service's `build_info`; empty when it has none or does not answer.
pub async fn build_info(http: &reqwest::Client, metrics_url: &str) -> BTreeMap<String, String> {
    let exposition = scrape(http, metrics_url).await.unwrap_or_default();
    exposition.labels("build_info").unwrap_or_default()
}

/// The service, as it can be looked at.
struct Service {
    http: reqwest::Client,
    metrics_url: String,
    neighbour: Option<Arc<Neighbour>>,
}

impl Service {
    async fn look(&self) -> ServiceSample {
        let seen = scrape(&self.http, &self.metrics_url).await;
        let mut sample = seen.map(|seen| service_sample(&seen)).unwrap_or_default();
        let Some(neighbour) = self.neighbour.clone() else { return sample };
        // The system's files take milliseconds, which users would wait for and be blamed for.
        let completed = spawn_blocking(move || {
            neighbour.complete(&mut sample);
            sample
        });
        completed.await.unwrap_or(sample)
    }
}

async fn look_every_second(
    service: Service,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
) {
    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before = own().await;
    let lag = Lag::watch();
    loop {
        tick.tick().await;
        let now = own().await;
        let (generator_cpu, generator_waited) = (cpu_share(&before, &now), waited(&before, &now));
        let generator_memory_bytes = now.memory_bytes;
        let at = now.at;
        before = now;
        let generator_lag = lag.since_last();
        let Some(started) = recorder.started() else { continue };
        let second =
            u32::try_from(at.saturating_duration_since(started).as_secs()).unwrap_or(u32::MAX);
        let sample = ResourceSample {
            second,
            users: recorder.users(),
            service: service.look().await,
            generator_cpu,
            generator_waited,
            generator_memory_bytes,
            generator_lag,
        };
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// What this process has used, at a moment.
struct Own {
    at: Instant,
    cpu_seconds: Option<f64>,
    scheduling: Option<Scheduling>,
    memory_bytes: Option<f64>,
}

/// Looks at this process, aside of those who have to be on time.
async fn own() -> Own {
    let looked = spawn_blocking(|| Own {
        at: Instant::now(),
        cpu_seconds: machine::own_cpu_seconds(),
        scheduling: Scheduling::own(),
        memory_bytes: machine::own_memory_bytes(),
    });
    let nothing =
        |_| Own { at: Instant::now(), cpu_seconds: None, scheduling: None, memory_bytes: None };
    looked.await.unwrap_or_else(nothing)
}

fn cpu_share(before: &Own, now: &Own) -> Option<f64> {
    let wall = (now.at - before.at).as_secs_f64();
    // A tick that comes right after another says nothing.
    if wall < 0.1 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 processors")]
    let processors = processors() as f64;
    Some((now.cpu_seconds? - before.cpu_seconds?) / wall / processors)
}

fn waited(before: &Own, now: &Own) -> Option<f64> {
    now.scheduling?.waited_since(before.scheduling?)
}

async fn scrape(http: &reqwest::Client, url: &str) -> Option<Exposition> {
    let text = timeout(PATIENCE, async {
        let response = http.get(url).send().await.ok()?.error_for_status().ok()?;
        response.text().await.ok()
    });
    Some(Exposition::parse(&text.await.ok()??))
}

fn service_sample(seen: &Exposition) -> ServiceSample {
    ServiceSample {
        cpu_seconds: seen.sum("process_cpu_seconds_total", &[]),
        started_at: seen.sum("process_start_time_seconds", &[]),
        memory_bytes: seen.sum("process_resident_memory_bytes", &[]),
        open_files: seen.sum("process_open_fds", &[]),
        pool_in_use: seen.sum("db_pool_connections", &[("state", "in_use")]),
        pool_idle: seen.sum("db_pool_connections", &[("state", "idle")]),
        pool_max: seen.sum("db_pool_max", &[]),
        pool_wait_seconds: seen.sum("db_pool_wait_seconds_sum", &[]),
        database_connections: seen.sum("pg_stat_database_numbackends", &[]),
        redis_connections: seen.sum("redis_pool_connections", &[]),
        requests_in_progress: seen.sum("http_requests_in_progress", &[]),
        cache_hits: seen.sum("cache_requests_total", &[("result", "hit")]),
        cache_misses: seen.sum("cache_requests_total", &[("result", "miss")]),
        queue_depth: seen.sum("queue_depth", &[]),
        logged_errors: seen.sum("log_events_total", &[("level", "error")]),
        disk_read_bytes: None,
        disk_written_bytes: None,
        network_bytes: None,
    }
}
