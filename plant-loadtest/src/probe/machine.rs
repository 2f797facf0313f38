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
