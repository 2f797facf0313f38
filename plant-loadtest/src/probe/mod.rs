//! Samples the resource usage of the service and the load generator once per second.

mod exposition;
mod local_process;
mod machine;
mod timer_lag;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, timeout},
};

pub use exposition::Exposition;
use local_process::LocalProcess;
use machine::SchedulerStats;
pub use machine::{available_cpus, describe_generator};
use timer_lag::TimerLag;

use crate::{
    outcome::{ResourceSample, ServiceSample},
    recorder::Recorder,
};

/// Timeout for one scrape; below the sampling interval of one second.
const SCRAPE_TIMEOUT: Duration = Duration::from_millis(900);

/// Samples resource usage in a background task.
#[derive(Debug)]
pub struct Probe {
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts to sample once per second: the `/metrics` of the service, its process if it runs on
    /// this machine, and the load generator. `host` is the base URL of the service. Only samples
    /// from the start of the run on ([`Recorder::started_at`]) are kept.
    #[must_use]
    pub fn start(http: reqwest::Client, host: &str, recorder: Arc<Recorder>) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let service = Service {
            http,
            metrics_url: format!("{host}/metrics"),
            host: host.to_owned(),
            process: Mutex::new(LocalProcess::listening_at(host).map(Arc::new)),
            exports_process: OnceLock::new(),
        };
        let task = tokio::spawn(sample_every_second(service, recorder, Arc::clone(&samples)));
        Self { samples, task }
    }

    /// Returns a handle to the samples, to which new ones are appended.
    #[must_use]
    pub fn samples(&self) -> Arc<Mutex<Vec<ResourceSample>>> {
        Arc::clone(&self.samples)
    }

    /// Stops sampling and returns all samples.
    #[must_use]
    pub fn stop(self) -> Vec<ResourceSample> {
        self.task.abort();
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the labels of the service's metric `build_info`; empty if it has none or does not
/// respond.
pub async fn build_info(http: &reqwest::Client, metrics_url: &str) -> BTreeMap<String, String> {
    let exposition = scrape(http, metrics_url).await.unwrap_or_default();
    exposition.labels("build_info").unwrap_or_default()
}

/// The service under test, as a source of samples.
struct Service {
    http: reqwest::Client,
    metrics_url: String,
    host: String,
    process: Mutex<Option<Arc<LocalProcess>>>,
    /// Whether the service exports start time and CPU time of its process.
    exports_process: OnceLock<bool>,
}

impl Service {
    async fn sample(self: &Arc<Self>) -> ServiceSample {
        let metrics = scrape(&self.http, &self.metrics_url).await;
        let sample = metrics.map(|metrics| service_sample(&metrics)).unwrap_or_default();
        let service = Arc::clone(self);
        // Reading procfs takes milliseconds, which would delay users on the same runtime thread.
        let complete = spawn_blocking(move || service.complete(sample));
        complete.await.unwrap_or(sample)
    }

    /// Adds what the operating system knows about the process that listens on the service's port.
    ///
    /// The values of the process come from one source during the whole run, the first one that has
    /// them: behind a proxy the exported process is not the one that listens, and a failed scrape
    /// would look like a restart.
    fn complete(&self, mut sample: ServiceSample) -> ServiceSample {
        let exported = sample.started_at.is_some() || sample.cpu_seconds.is_some();
        let Some(process) = self.local_process() else { return sample };
        if !*self.exports_process.get_or_init(|| exported) {
            process.describe(&mut sample);
        }
        process.fill_in(&mut sample);
        sample
    }

    /// Returns the process that listens on the service's port, found again after it has ended.
    fn local_process(&self) -> Option<Arc<LocalProcess>> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if process.as_ref().is_some_and(|process| !process.is_alive()) {
            *process = LocalProcess::listening_at(&self.host).map(Arc::new).or(process.take());
        }
        process.clone()
    }
}

async fn sample_every_second(
    service: Service,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
) {
    let mut interval = interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let service = Arc::new(service);
    let mut before = read_own_usage().await;
    let timer_lag = TimerLag::start();
    loop {
        interval.tick().await;
        let now = read_own_usage().await;
        let generator_cpu = cpu_fraction(&before, &now);
        let generator_cpu_wait = cpu_wait_fraction(&before, &now);
        let generator_memory_bytes = now.memory_bytes;
        let at = now.at;
        before = now;
        let generator_timer_lag = timer_lag.take();
        let Some(started) = recorder.started_at() else { continue };
        let second =
            u32::try_from(at.saturating_duration_since(started).as_secs()).unwrap_or(u32::MAX);
        let sample = ResourceSample {
            second,
            users: recorder.users(),
            service: service.sample().await,
            generator_cpu,
            generator_cpu_wait,
            generator_memory_bytes,
            generator_timer_lag,
        };
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// Resource usage of this process at one moment.
struct OwnUsage {
    at: Instant,
    cpu_seconds: Option<f64>,
    scheduler: Option<SchedulerStats>,
    memory_bytes: Option<f64>,
}

/// Reads the usage of this process on a blocking thread, so that users are not delayed.
async fn read_own_usage() -> OwnUsage {
    let usage = spawn_blocking(|| OwnUsage {
        at: Instant::now(),
        cpu_seconds: machine::own_cpu_seconds(),
        scheduler: SchedulerStats::read(),
        memory_bytes: machine::own_memory_bytes(),
    });
    usage.await.unwrap_or_else(|_| OwnUsage {
        at: Instant::now(),
        cpu_seconds: None,
        scheduler: None,
        memory_bytes: None,
    })
}

/// Returns the CPU time between two moments as a fraction (0 to 1) of all CPUs.
fn cpu_fraction(before: &OwnUsage, now: &OwnUsage) -> Option<f64> {
    let wall = (now.at - before.at).as_secs_f64();
    // CPU time is counted in clock ticks, which are too coarse for shorter intervals.
    if wall < 0.1 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 CPUs")]
    let cpus = available_cpus() as f64;
    Some((now.cpu_seconds? - before.cpu_seconds?) / wall / cpus)
}

fn cpu_wait_fraction(before: &OwnUsage, now: &OwnUsage) -> Option<f64> {
    now.scheduler?.wait_fraction_since(before.scheduler?)
}

async fn scrape(http: &reqwest::Client, url: &str) -> Option<Exposition> {
    let text = timeout(SCRAPE_TIMEOUT, async {
        let response = http.get(url).send().await.ok()?.error_for_status().ok()?;
        response.text().await.ok()
    });
    Some(Exposition::parse(&text.await.ok()??))
}

fn service_sample(metrics: &Exposition) -> ServiceSample {
    ServiceSample {
        cpu_seconds: metrics.sum("process_cpu_seconds_total", &[]),
        cpus: metrics.sum("process_available_cpus", &[]),
        // Of several processes the first: a worker that starts later is no restart.
        started_at: metrics.min("process_start_time_seconds"),
        memory_bytes: metrics.sum("process_resident_memory_bytes", &[]),
        open_files: metrics.sum("process_open_fds", &[]),
        pool_in_use: metrics.sum("db_pool_connections", &[("state", "in_use")]),
        pool_idle: metrics.sum("db_pool_connections", &[("state", "idle")]),
        pool_max: metrics.sum("db_pool_max", &[]),
        pool_wait_seconds: metrics.sum("db_pool_wait_seconds_sum", &[]),
        database_connections: metrics.sum("pg_stat_database_numbackends", &[]),
        redis_connections: metrics.sum("redis_pool_connections", &[]),
        requests_in_progress: metrics.sum("http_requests_in_progress", &[]),
        cache_hits: metrics.sum("cache_requests_total", &[("result", "hit")]),
        cache_misses: metrics.sum("cache_requests_total", &[("result", "miss")]),
        queue_depth: metrics.sum("queue_depth", &[]),
        logged_errors: metrics.sum("log_events_total", &[("level", "error")]),
        disk_read_bytes: None,
        disk_written_bytes: None,
        network_bytes: None,
    }
}
