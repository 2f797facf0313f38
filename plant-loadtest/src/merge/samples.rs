//! Samples of the service and of the load generators.

use std::collections::BTreeMap;

use super::Measured;
use crate::outcome::{ResourceSample, ServiceSample};

/// Seconds for which the last number of users of a part counts: samples of two parts are taken at different
/// moments of a second, so that one second may have none.
const USERS_VALID_S: u32 = 2;

/// Returns one sample for each second: all users; the service as the first part sampled it that did; of the
/// generators the highest usage, and the timer lag of all.
pub(super) fn merge(parts: &[Measured]) -> Vec<ResourceSample> {
    let mut samples: BTreeMap<u32, ResourceSample> = BTreeMap::new();
    for part in parts {
        for theirs in &part.outcome.samples {
            let second = part.second(theirs.second);
            let ours = samples.entry(second).or_default();
            ours.second = second;
            if ours.service == ServiceSample::default() {
                ours.service = theirs.service;
            }
            let highest = |one: Option<f64>, two: Option<f64>| {
                [one, two].into_iter().flatten().reduce(f64::max)
            };
            ours.generator_cpu = highest(ours.generator_cpu, theirs.generator_cpu);
            ours.generator_cpu_wait = highest(ours.generator_cpu_wait, theirs.generator_cpu_wait);
            ours.generator_memory_bytes =
                highest(ours.generator_memory_bytes, theirs.generator_memory_bytes);
            ours.generator_timer_lag.merge(&theirs.generator_timer_lag);
        }
    }
    for (second, sample) in &mut samples {
        sample.users = parts.iter().map(|part| users_at(part, *second)).sum();
    }
    samples.into_values().collect()
}

fn users_at(part: &Measured, second: u32) -> u32 {
    let samples = &part.outcome.samples;
    let until = samples.partition_point(|sample| part.second(sample.second) <= second);
    let last = until.checked_sub(1).map(|last| &samples[last]);
    let valid = last.filter(|last| part.second(last.second) + USERS_VALID_S >= second);
    valid.map_or(0, |sample| sample.users)
}

/// Returns the samples of the generator itself, by the seconds of the merged run.
pub(super) fn of_generator(part: &Measured) -> Vec<ResourceSample> {
    let samples = part.outcome.samples.iter().map(|sample| ResourceSample {
        second: part.second(sample.second),
        service: ServiceSample::default(),
        ..sample.clone()
    });
    samples.collect()
}
