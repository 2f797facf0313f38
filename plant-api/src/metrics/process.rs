//! Metrics of this process, read from procfs.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::{gauge, gauge_value, register};

/// Metrics of this process. Clones share the state.
#[derive(Clone)]
pub(super) struct ProcessMetrics {
    /// Locked while it is increased to the time read from procfs.
    cpu_seconds: Arc<Mutex<Counter>>,
    available_cpus: IntGauge,
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    start_time: Gauge,
}

impl ProcessMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// When a metric of the same name is registered, which is a bug.
    pub(super) fn new(r: &Registry) -> prometheus::Result<Self> {
        let cpu_seconds =
            Counter::new("process_cpu_seconds_total", "User and system CPU time in seconds.")?;
        Ok(Self {
            cpu_seconds: Arc::new(Mutex::new(register(r, cpu_seconds)?)),
            available_cpus: gauge(
                r,
                "process_available_cpus",
                "CPUs that the process may use, by affinity and control group.",
            )?,
            resident_bytes: gauge(r, "process_resident_memory_bytes", "Resident memory in bytes.")?,
            open_fds: gauge(r, "process_open_fds", "Open file descriptors.")?,
            start_time: register(
                r,
                Gauge::new(
                    "process_start_time_seconds",
                    "Start time of the process in seconds since the Unix epoch.",
                )?,
            )?,
        })
    }

    /// Reads the current values.
    ///
    /// # Errors
    /// When procfs cannot be read.
    pub(super) fn update(&self) -> Result<(), procfs::ProcError> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = (stat.utime + stat.stime) as f64;
        self.set_cpu_seconds(ticks / procfs::ticks_per_second() as f64);
        let cpus = available_parallelism().map_or(0, |cpus| cpus.get() as u64);
        self.available_cpus.set(gauge_value(cpus));
        self.resident_bytes.set(gauge_value(stat.rss * procfs::page_size()));
        self.open_fds.set(gauge_value(process.fd_count()? as u64));
        let started = procfs::boot_time_secs()? as f64
            + stat.starttime as f64 / procfs::ticks_per_second() as f64;
        self.start_time.set(started);
        Ok(())
    }

    /// Increases the counter to `seconds`. A scrape at the same time may have read a later time.
    fn set_cpu_seconds(&self, seconds: f64) {
        let counter = self.cpu_seconds.lock().unwrap_or_else(PoisonError::into_inner);
        counter.inc_by((seconds - counter.get()).max(0.0));
    }
}
