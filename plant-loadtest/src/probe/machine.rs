//! Reads properties of this machine and the resource usage of this process from the operating
//! system. On systems other than Linux most values are `None`.

use std::thread::available_parallelism;

use crate::outcome::Generator;

/// Returns the number of CPUs available to this process.
#[must_use]
pub fn available_cpus() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Returns the description of this machine and program for the outcome.
#[must_use]
pub fn describe_generator(open_files_limit: Option<u64>) -> Generator {
    Generator {
        version: env!("CARGO_PKG_VERSION").into(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu_model: cpu_model(),
        cpus: available_cpus(),
        memory_bytes: memory_bytes(),
        open_files_limit,
    }
}

/// Returns the CPU time of this process so far, in seconds.
#[cfg(target_os = "linux")]
pub(super) fn own_cpu_seconds() -> Option<f64> {
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "clock ticks of one process stay below 2^53")]
    let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    Some(seconds)
}

/// Scheduler statistics of this process: how long its threads ran, and how long they waited for a
/// CPU while runnable (the run delay of `/proc/<pid>/schedstat`).
#[derive(Clone, Copy, Debug)]
pub(super) struct SchedulerStats {
    run_ns: u64,
    wait_ns: u64,
}

impl SchedulerStats {
    /// Reads the sums over all current threads.
    #[cfg(target_os = "linux")]
    pub(super) fn read() -> Option<Self> {
        let threads = procfs::process::Process::myself().ok()?.tasks().ok()?;
        let mut total = Self { run_ns: 0, wait_ns: 0 };
        for thread in threads.flatten() {
            if let Ok(stat) = thread.schedstat() {
                total.run_ns += stat.sum_exec_runtime;
                total.wait_ns += stat.run_delay;
            }
        }
        Some(total)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read() -> Option<Self> {
        None
    }

    /// Returns the fraction (0 to 1) of the runnable time since `before` in which threads waited for
    /// a CPU.
    pub(super) fn wait_fraction_since(self, before: Self) -> Option<f64> {
        // The times of threads that ended in between are missing, so the sums may decrease.
        let run = self.run_ns.saturating_sub(before.run_ns);
        let wait = self.wait_ns.saturating_sub(before.wait_ns);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second stay below 2^53")]
        let fraction = wait as f64 / (run + wait) as f64;
        (run + wait > 0).then_some(fraction)
    }
}

/// Returns the resident memory of this process, in bytes.
#[cfg(target_os = "linux")]
pub(super) fn own_memory_bytes() -> Option<f64> {
    use procfs::WithCurrentSystemInfo as _;
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "memory of one machine stays below 2^53")]
    let bytes = stat.rss_bytes().get() as f64;
    Some(bytes)
}

#[cfg(target_os = "linux")]
fn cpu_model() -> Option<String> {
    use procfs::Current as _;
    let info = procfs::CpuInfo::current().ok()?;
    info.model_name(0).map(str::to_owned)
}

#[cfg(target_os = "linux")]
fn memory_bytes() -> Option<u64> {
    use procfs::Current as _;
    Some(procfs::Meminfo::current().ok()?.mem_total)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn own_cpu_seconds() -> Option<f64> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn own_memory_bytes() -> Option<f64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn cpu_model() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> Option<u64> {
    None
}
