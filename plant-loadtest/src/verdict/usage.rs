//! Throughput and resource usage of the service in a part of a run.

use std::ops::Range;

use crate::{
    outcome::{Outcome, ResourceSample, ServiceSample, Tally},
    sla::Resource,
};

/// Returns the successful responses per second over `spans`, and their number.
pub(super) fn throughput(tally: &Tally, spans: &[Range<u32>]) -> (Option<f64>, u64) {
    let seconds: u32 = spans.iter().map(|span| span.end - span.start).sum();
    #[expect(clippy::cast_precision_loss, reason = "responses of a run stay below 2^53")]
    let responses = tally.throughput_count as f64;
    let rate = (seconds > 0 && seconds < u32::MAX).then(|| responses / f64::from(seconds));
    (rate, tally.throughput_count)
}

/// Returns the usage of `resource`, in the unit of its metric, and the number of samples with a
/// value.
pub(super) fn resource(
    outcome: &Outcome,
    resource: Resource,
    spans: &[Range<u32>],
) -> (Option<f64>, u64) {
    let within = |sample: &&ResourceSample| spans.iter().any(|span| span.contains(&sample.second));
    let samples: Vec<&ResourceSample> = outcome.samples.iter().filter(within).collect();
    let max = |value: fn(&ServiceSample) -> Option<f64>| {
        let values: Vec<f64> = samples.iter().filter_map(|sample| value(&sample.service)).collect();
        (values.iter().copied().reduce(f64::max), values.len() as u64)
    };
    match resource {
        Resource::Cpu => cpu(outcome, &samples),
        Resource::Memory => {
            let (bytes, count) = max(|service| service.memory_bytes);
            (bytes.map(|bytes| bytes / 1_048_576.0), count)
        }
        Resource::DatabaseConnections => max(|service| service.database_connections),
        Resource::RedisConnections => max(|service| service.redis_connections),
        Resource::OpenFiles => max(|service| service.open_files),
        Resource::QueueDepth => max(|service| service.queue_depth),
        Resource::LoggedErrors => increase(&samples, |service| service.logged_errors),
    }
}

/// Returns the mean CPU usage between the first and the last sample, in percent of all CPUs.
fn cpu(outcome: &Outcome, samples: &[&ResourceSample]) -> (Option<f64>, u64) {
    let values: Vec<(u32, f64)> = samples
        .iter()
        .filter_map(|sample| Some((sample.second, sample.service.cpu_seconds?)))
        .collect();
    let mean = values.first().zip(values.last()).and_then(|((from, before), (to, after))| {
        #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 CPUs")]
        let cpus = outcome.generator.cpus.max(1) as f64;
        // The counter restarts from zero when the service restarts.
        let used = (after - before).max(0.0);
        (to > from).then(|| used * 100.0 / f64::from(to - from) / cpus)
    });
    (mean, values.len() as u64)
}

/// Returns the increase of a counter from the first sample to the last.
fn increase(
    samples: &[&ResourceSample],
    value: fn(&ServiceSample) -> Option<f64>,
) -> (Option<f64>, u64) {
    let values: Vec<f64> = samples.iter().filter_map(|sample| value(&sample.service)).collect();
    (values.first().zip(values.last()).map(|(first, last)| last - first), values.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::report::example;

    #[test]
    fn cpu_usage_is_a_percentage_of_all_cpus() {
        let mut outcome = example::outcome();
        outcome.generator.cpus = 4;
        for sample in &mut outcome.samples {
            // Two CPUs fully used.
            sample.service.cpu_seconds = Some(f64::from(sample.second) * 2.0);
        }
        let judged = outcome.judged_span();
        let (percent, _) = resource(&outcome, Resource::Cpu, &[judged]);
        assert!((percent.unwrap() - 50.0).abs() < 1e-9, "{percent:?}");
    }

    #[test]
    fn a_resource_without_samples_has_no_value() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.service = ServiceSample::default();
        }
        let judged = outcome.judged_span();
        for &name in Resource::ALL {
            assert_eq!(resource(&outcome, name, slice::from_ref(&judged)), (None, 0), "{name:?}");
        }
    }
}
