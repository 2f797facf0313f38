//! What the service did and used in some seconds of an outcome.

use std::ops::Range;

use crate::{
    outcome::{Outcome, ResourceSample, ServiceSample, Tally},
    sla::Resource,
};

/// Right answers a second, and how many there were.
pub(super) fn throughput(tally: &Tally, spans: &[Range<u32>]) -> (Option<f64>, u64) {
    let seconds: u32 = spans.iter().map(|span| span.end - span.start).sum();
    #[expect(clippy::cast_precision_loss, reason = "answers of a run stay below 2^53")]
    let answers = tally.finished as f64;
    let value = (seconds > 0 && seconds < u32::MAX).then(|| answers / f64::from(seconds));
    (value, tally.finished)
}

/// How much of `resource` was used, in the unit that its figure declares, and in how many looks
/// the service told.
pub(super) fn resource(
    outcome: &Outcome,
    resource: Resource,
    spans: &[Range<u32>],
) -> (Option<f64>, u64) {
    let within = |sample: &&ResourceSample| spans.iter().any(|span| span.contains(&sample.second));
    let samples: Vec<&ResourceSample> = outcome.samples.iter().filter(within).collect();
    let most = |pick: fn(&ServiceSample) -> Option<f64>| {
        let told: Vec<f64> = samples.iter().filter_map(|sample| pick(&sample.service)).collect();
        (told.iter().copied().reduce(f64::max), told.len() as u64)
    };
    match resource {
        Resource::Cpu => cpu(outcome, &samples),
        Resource::Memory => {
            let (bytes, looks) = most(|service| service.memory_bytes);
            (bytes.map(|bytes| bytes / 1_048_576.0), looks)
        }
        Resource::DatabaseConnections => most(|service| service.database_connections),
        Resource::RedisConnections => most(|service| service.redis_connections),
        Resource::OpenFiles => most(|service| service.open_files),
        Resource::QueueDepth => most(|service| service.queue_depth),
        Resource::LoggedErrors => growth(&samples, |service| service.logged_errors),
    }
}

/// Mean processor time between the first look and the last one, in percent of all processors.
fn cpu(outcome: &Outcome, samples: &[&ResourceSample]) -> (Option<f64>, u64) {
    let told: Vec<(u32, f64)> = samples
        .iter()
        .filter_map(|sample| Some((sample.second, sample.service.cpu_seconds?)))
        .collect();
    let mean = told.first().zip(told.last()).and_then(|((from, before), (to, after))| {
        #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 processors")]
        let processors = outcome.generator.cpus.max(1) as f64;
        // A service that was started anew counts from zero again.
        let used = (after - before).max(0.0);
        (to > from).then(|| used * 100.0 / f64::from(to - from) / processors)
    });
    (mean, told.len() as u64)
}

fn growth(
    samples: &[&ResourceSample],
    pick: fn(&ServiceSample) -> Option<f64>,
) -> (Option<f64>, u64) {
    let told: Vec<f64> = samples.iter().filter_map(|sample| pick(&sample.service)).collect();
    (told.first().zip(told.last()).map(|(first, last)| last - first), told.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::report::example;

    #[test]
    fn processor_time_is_a_share_of_the_whole_machine() {
        let mut outcome = example::outcome();
        outcome.generator.cpus = 4;
        for sample in &mut outcome.samples {
            // Two processors' worth.
            sample.service.cpu_seconds = Some(f64::from(sample.second) * 2.0);
        }
        let judged = outcome.judged_seconds();
        let (share, _) = resource(&outcome, Resource::Cpu, &[judged]);
        assert!((share.unwrap() - 50.0).abs() < 1e-9, "{share:?}");
    }

    #[test]
    fn what_the_service_does_not_tell_is_unknown() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.service = ServiceSample::default();
        }
        let judged = outcome.judged_seconds();
        for name in Resource::ALL {
            assert_eq!(resource(&outcome, name, slice::from_ref(&judged)), (None, 0), "{name:?}");
        }
    }
}
