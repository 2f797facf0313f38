//! What a stub says of itself, in the words of Plant.

/// The text of its `/metrics`.
pub(super) fn exposition(requests: u64) -> String {
    let mut text = format!("build_info{{version=\"stub\"}} 1\nstub_requests_total {requests}\n");
    #[cfg(target_os = "linux")]
    if let Some(process) = process() {
        text += &process;
    }
    text
}

#[cfg(target_os = "linux")]
fn process() -> Option<String> {
    use procfs::WithCurrentSystemInfo as _;
    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = procfs::ticks_per_second();
    let started = procfs::boot_time_secs().ok()? + stat.starttime / ticks;
    Some(format!(
        "process_start_time_seconds {started}\n\
         process_cpu_seconds_total {}.{:02}\n\
         process_resident_memory_bytes {}\n\
         process_open_fds {}\n",
        (stat.utime + stat.stime) / ticks,
        (stat.utime + stat.stime) % ticks * 100 / ticks,
        stat.rss_bytes().get(),
        process.fd_count().ok()?,
    ))
}
