//! The `/metrics` of a server of known truth.

use super::behavior::Metrics;

/// Start time that it exports, in seconds since 1970.
const STARTED_AT: f64 = 1_700_000_000.0;

/// Returns the metrics at `second` of the load in the Prometheus text format, or the status of a
/// failed scrape.
pub(super) fn render(metrics: Metrics, second: f64) -> Result<String, u16> {
    let (mut started_at, mut cpus_used, mut memory_mib) = (STARTED_AT, 0.05, 50.0);
    // Counters start above zero, so that a restart lowers them.
    let mut cpu_seconds = 5.0;
    match metrics {
        Metrics::Missing => return Err(404),
        Metrics::DeadFrom(from) if second >= from => return Err(503),
        Metrics::OneMissing(at) if (at..at + 1.0).contains(&second) => return Err(503),
        Metrics::Restart { silent_from, at } if (silent_from..at).contains(&second) => {
            return Err(503);
        }
        Metrics::Restart { at, .. } if second >= at => {
            (started_at, cpu_seconds) = (STARTED_AT + at, 0.0);
        }
        Metrics::MemoryGrows(mib_per_s) => memory_mib += mib_per_s * second,
        Metrics::UsesCpus(cpus) => cpus_used = cpus,
        _ => {}
    }
    cpu_seconds += second * cpus_used;
    let memory = memory_mib * 1_048_576.0;
    Ok(format!(
        "build_info{{version=\"selftest\"}} 1\n\
         process_start_time_seconds {started_at}\n\
         process_cpu_seconds_total {cpu_seconds:.3}\n\
         process_available_cpus 2\n\
         process_resident_memory_bytes {memory:.0}\n\
         log_events_total{{level=\"error\"}} 0\n"
    ))
}
