//! What the system tells of this process and this machine. Elsewhere than on Linux: little.

use std::thread::available_parallelism;

use crate::outcome::Generator;

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// This machine and program, for the outcome.
#[must_use]
pub fn describe(open_files_limit: Option<u64>) -> Generator {
    Generator {
        version: env!("CARGO_PKG_VERSION").into(),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        processor: processor(),
        cpus: processors(),
        memory_bytes: memory_bytes(),
        open_files_limit,
    }
}

/// Processor seconds that this process has used so far.
#[cfg(target_os = "linux")]
pub(super) fn own_cpu_seconds() -> Option<f64> {
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "clock ticks of one process stay below 2^53")]
    let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
    Some(seconds)
}

/// How long this process's threads have worked, and how long they had to wait to work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheduling {
    ran_ns: u64,
    waited_ns: u64,
}

impl Scheduling {
    /// All threads that there are.
    #[cfg(target_os = "linux")]
    pub(super) fn own() -> Option<Self> {
        let threads = procfs::process::Process::myself().ok()?.tasks().ok()?;
        let mut all = Self { ran_ns: 0, waited_ns: 0 };
        for thread in threads.flatten() {
            if let Ok(stat) = thread.schedstat() {
                all.ran_ns += stat.sum_exec_runtime;
                all.waited_ns += stat.run_delay;
            }
        }
        Some(all)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn own() -> Option<Self> {
        None
    }

    /// Of the time that threads could have worked since `before`, the share that they waited.
    pub(super) fn waited_since(self, before: Self) -> Option<f64> {
        // Threads that ended meanwhile take their time with them.
        let ran = self.ran_ns.saturating_sub(before.ran_ns);
        let waited = self.waited_ns.saturating_sub(before.waited_ns);
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a second stay below 2^53")]
        let share = waited as f64 / (ran + waited) as f64;
        (ran + waited > 0).then_some(share)
    }
}

/// Memory that this process has resident.
#[cfg(target_os = "linux")]
pub(super) fn own_memory_bytes() -> Option<f64> {
    use procfs::WithCurrentSystemInfo as _;
    let stat = procfs::process::Process::myself().ok()?.stat().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "memory of one machine stays below 2^53")]
    let bytes = stat.rss_bytes().get() as f64;
    Some(bytes)
}

#[cfg(target_os = "linux")]
fn processor() -> Option<String> {
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
fn processor() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn memory_bytes() -> Option<u64> {
    None
}
