//! Metrics of a stub, with the names that Prometheus client libraries use for the process.

/// Returns the metrics in the Prometheus text format.
pub(super) fn render(requests: u64) -> String {
    let mut text = format!("build_info{{version=\"stub\"}} 1\nstub_requests_total {requests}\n");
    #[cfg(target_os = "linux")]
    if let Some(metrics) = process_metrics() {
        text += &metrics;
    }
    text
}

#[cfg(target_os = "linux")]
fn process_metrics() -> Option<String> {
    use procfs::WithCurrentSystemInfo as _;
    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second();
    let start_time = procfs::boot_time_secs().ok()? + stat.starttime / ticks;
    Some(format!(
        "process_start_time_seconds {start_time}\n\
         process_cpu_seconds_total {}.{:02}\n\
         process_resident_memory_bytes {}\n\
         process_open_fds {}\n",
        (stat.utime + stat.stime) / ticks,
        (stat.utime + stat.stime) % ticks * 100 / ticks,
        stat.rss_bytes().get(),
        process.fd_count().ok()?,
    ))
}
