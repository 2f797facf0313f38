//! Samples the resource usage of the service and the load generator once per second.

mod exposition;
mod local_process;
mod machine;
mod timer_lag;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

pub use exposition::Exposition;
use local_process::LocalProcess;
use machine::SchedulerStats;
pub use machine::{available_cpus, describe_generator};
use timer_lag::TimerLag;

use crate::{
    metric_names::{MetricNames, Series},
    outcome::{ResourceSample, ServiceSample},
    recorder::Recorder,
    service::{Service, ServiceProcess},
};

/// Attempts at the first scrape, and the delay between them. If all fail, the service exports nothing.
const FIRST_SCRAPE_ATTEMPTS: u32 = 3;
const FIRST_SCRAPE_DELAY: Duration = Duration::from_millis(100);

/// Samples after which the processes of a local service are found again, for new workers.
const SAMPLES_PER_SEARCH: u32 = 10;

/// Pause between two reads of the queue depth after the load.
const QUEUE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Timeout for one scrape; below the sampling interval of one second.
const SCRAPE_TIMEOUT: Duration = Duration::from_millis(900);

/// Samples resource usage in a background task.
#[derive(Debug)]
pub struct Probe {
    samples: Arc<Mutex<Vec<ResourceSample>>>,
    task: JoinHandle<()>,
}

impl Probe {
    /// Starts to sample once per second: the metrics of the service, its process if it runs on this
    /// machine, and the load generator. `host` is the base URL of the service, `first` its first metrics.
    /// If they do not contain start time or CPU time of a process, the values of the process come from
    /// the operating system. Only samples from the start of the run on ([`Recorder::started_at`]) are kept.
    #[must_use]
    pub fn start(
        http: reqwest::Client,
        host: &str,
        service: &Service,
        first: &Exposition,
        recorder: Arc<Recorder>,
    ) -> Self {
        let exports_process = exports_process(&exported(service, first));
        let samples = Arc::new(Mutex::new(Vec::new()));
        let source = Source {
            http,
            metrics: service.metrics.clone(),
            selected: service.process.clone(),
            host: host.to_owned(),
            process: Mutex::new(LocalProcess::find(&service.process, host).map(Arc::new)),
            exports_process,
            samples_taken: AtomicU32::new(0),
        };
        let task = tokio::spawn(sample_every_second(source, recorder, Arc::clone(&samples)));
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

/// Returns the metrics of the service at `host` before the load; empty if it exports none.
pub async fn first_scrape(
    http: &reqwest::Client,
    host: &str,
    metrics: Option<&MetricNames>,
) -> Exposition {
    let Some(metrics) = metrics else { return Exposition::default() };
    for attempt in 0..FIRST_SCRAPE_ATTEMPTS {
        if attempt > 0 {
            sleep(FIRST_SCRAPE_DELAY).await;
        }
        if let Some(exposition) = scrape(http, host, metrics).await {
            return exposition;
        }
    }
    Exposition::default()
}

/// Reads the queue depth of the service at `host` until it is 0, for `timeout` at most. Returns the last one;
/// `None` if the service does not export it.
pub async fn wait_until_queue_is_empty(
    http: &reqwest::Client,
    host: &str,
    metrics: &MetricNames,
    timeout: Duration,
) -> Option<f64> {
    let started = Instant::now();
    let mut depth = None;
    loop {
        if let Some(exposition) = scrape(http, host, metrics).await {
            depth = service_sample(&exposition, metrics).queue_depth;
            if depth.is_none_or(|depth| depth <= 0.0) {
                return depth;
            }
        }
        if started.elapsed() > timeout {
            return depth;
        }
        sleep(QUEUE_POLL_INTERVAL).await;
    }
}

/// Returns the first sample of `service` at `host`, from its `first` metrics and its process if that runs
/// on this machine.
#[must_use]
pub fn first_sample(service: &Service, host: &str, first: &Exposition) -> ServiceSample {
    let mut sample = exported(service, first);
    if let Some(process) = LocalProcess::find(&service.process, host) {
        let exports_process = exports_process(&sample);
        complete(&mut sample, &process, exports_process);
    }
    sample
}

fn exported(service: &Service, first: &Exposition) -> ServiceSample {
    let names = service.metrics.as_ref();
    names.map(|names| service_sample(first, names)).unwrap_or_default()
}

/// Returns whether a service with this first sample exports the values of its process.
fn exports_process(sample: &ServiceSample) -> bool {
    sample.started_at.is_some() || sample.cpu_seconds.is_some()
}

/// Adds what the operating system knows about `process`.
fn complete(sample: &mut ServiceSample, process: &LocalProcess, exports_process: bool) {
    if !exports_process {
        process.describe(sample);
    }
    process.fill_in(sample);
}

/// Checks that the process that `service` names exists on this machine.
///
/// # Errors
/// Returns a message if it does not.
pub fn check_process(service: &Service, host: &str) -> Result<(), String> {
    let what = match &service.process {
        ServiceProcess::Listening => return Ok(()),
        ServiceProcess::Pid(pid) => format!("process with the id {pid}"),
        ServiceProcess::Container(name) => format!("running Docker container `{name}`"),
    };
    match LocalProcess::find(&service.process, host) {
        Some(_) => Ok(()),
        None => Err(format!("there is no {what} on this machine that this user may observe")),
    }
}

/// The service under test, as a source of samples.
struct Source {
    http: reqwest::Client,
    metrics: Option<MetricNames>,
    /// How to find the processes.
    selected: ServiceProcess,
    host: String,
    process: Mutex<Option<Arc<LocalProcess>>>,
    exports_process: bool,
    samples_taken: AtomicU32,
}

impl Source {
    async fn sample(self: &Arc<Self>) -> ServiceSample {
        let sample = self.exported().await.unwrap_or_default();
        let service = Arc::clone(self);
        // Reading procfs takes milliseconds, which would delay users on the same runtime thread.
        let complete = spawn_blocking(move || service.complete(sample));
        complete.await.unwrap_or(sample)
    }

    async fn exported(&self) -> Option<ServiceSample> {
        let names = self.metrics.as_ref()?;
        let metrics = scrape(&self.http, &self.host, names).await?;
        Some(service_sample(&metrics, names))
    }

    /// Adds what the operating system knows about the processes of the service.
    ///
    /// The values of the process come from one source during the whole run: behind a proxy the exported
    /// process is not the one that listens, and another source for one sample would look like a
    /// restart.
    fn complete(&self, mut sample: ServiceSample) -> ServiceSample {
        if let Some(process) = self.local_process() {
            complete(&mut sample, &process, self.exports_process);
        }
        sample
    }

    /// Returns the processes of the service, found again after one of them has ended, and now and then for new ones.
    fn local_process(&self) -> Option<Arc<LocalProcess>> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let search = self.samples_taken.fetch_add(1, Relaxed).is_multiple_of(SAMPLES_PER_SEARCH);
        if process.as_ref().is_some_and(|process| search || !process.is_alive()) {
            *process =
                LocalProcess::find(&self.selected, &self.host).map(Arc::new).or(process.take());
        }
        process.clone()
    }
}

async fn sample_every_second(
    source: Source,
    recorder: Arc<Recorder>,
    samples: Arc<Mutex<Vec<ResourceSample>>>,
) {
    let mut interval = interval(Duration::from_secs(1));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let source = Arc::new(source);
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
        let Some(started) = recorder.started_at().filter(|started| *started <= at) else {
            continue;
        };
        let second =
            u32::try_from(at.saturating_duration_since(started).as_secs()).unwrap_or(u32::MAX);
        let sample = ResourceSample {
            second,
            users: recorder.users(),
            service: source.sample().await,
            generator_cpu,
            generator_cpu_wait,
            generator_memory_bytes,
            generator_timer_lag,
        };
        samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
    }
}

/// Resource usage of this process at one moment.
pub struct OwnUsage {
    at: Instant,
    cpu_seconds: Option<f64>,
    scheduler: Option<SchedulerStats>,
    /// Resident memory, in bytes.
    pub memory_bytes: Option<f64>,
}

impl OwnUsage {
    /// Returns the CPU time since `before` as a fraction (0 to 1) of all CPUs. `None` if the system does not
    /// report it, or after less than a tenth of a second.
    #[must_use]
    pub fn cpu_since(&self, before: &Self) -> Option<f64> {
        cpu_fraction(before, self)
    }
}

/// Reads the usage of this process on a blocking thread, so that users are not delayed.
pub async fn read_own_usage() -> OwnUsage {
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

async fn scrape(http: &reqwest::Client, host: &str, metrics: &MetricNames) -> Option<Exposition> {
    let url = format!("{host}{}", metrics.path);
    let text = timeout(SCRAPE_TIMEOUT, async {
        let response = http.get(url).send().await.ok()?.error_for_status().ok()?;
        response.text().await.ok()
    });
    Some(Exposition::parse(&text.await.ok()??))
}

fn service_sample(metrics: &Exposition, names: &MetricNames) -> ServiceSample {
    let sum = |series: &Option<Series>| metrics.sum(series.as_ref()?);
    ServiceSample {
        cpu_seconds: sum(&names.cpu_seconds),
        cpus: sum(&names.cpus),
        // Of several processes the first: a worker that starts later is no restart.
        started_at: names.started_at.as_ref().and_then(|series| metrics.min(series)),
        memory_bytes: sum(&names.memory_bytes),
        open_files: sum(&names.open_files),
        pool_in_use: sum(&names.pool_in_use),
        pool_idle: sum(&names.pool_idle),
        pool_max: sum(&names.pool_max),
        pool_wait_seconds: sum(&names.pool_wait_seconds),
        database_connections: sum(&names.database_connections),
        redis_connections: sum(&names.redis_connections),
        requests_in_progress: sum(&names.requests_in_progress),
        cache_hits: sum(&names.cache_hits),
        cache_misses: sum(&names.cache_misses),
        queue_depth: sum(&names.queue_depth),
        logged_errors: sum(&names.logged_errors),
        disk_read_bytes: None,
        disk_written_bytes: None,
        network_bytes: None,
    }
}
