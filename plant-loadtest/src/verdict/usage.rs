//! Throughput and resource usage of the service in a part of a run.

use std::ops::Range;

use super::coverage::has_coverage;
use crate::{
    outcome::{Outcome, ResourceSample, ServiceSample, Tally},
    sla::Resource,
};

const MIB: f64 = 1_048_576.0;

/// Returns the successful responses per second over these `seconds`, and their number.
pub(super) fn throughput(tally: &Tally, seconds: f64) -> (Option<f64>, u64) {
    #[expect(clippy::cast_precision_loss, reason = "responses of a run stay below 2^53")]
    let responses = tally.throughput_count as f64;
    let rate = (seconds > 0.0).then(|| responses / seconds);
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
        Resource::Cpu => cpu(outcome, spans),
        Resource::Memory => {
            let (bytes, count) = max(|service| service.memory_bytes);
            (bytes.map(|bytes| bytes / MIB), count)
        }
        Resource::CpuIncrease => cpu_increase(outcome, spans),
        Resource::MemoryIncrease => memory_increase(outcome, &samples),
        Resource::DatabaseConnections => max(|service| service.database_connections),
        Resource::RedisConnections => max(|service| service.redis_connections),
        Resource::OpenFiles => max(|service| service.open_files),
        Resource::QueueDepth => max(|service| service.queue_depth),
        Resource::LoggedErrors => increase(outcome, spans, |service| service.logged_errors),
    }
}

/// Returns the seconds before the first request: the service is idle.
fn idle_span(outcome: &Outcome) -> Range<u32> {
    let cells = outcome.endpoints.iter().flat_map(|endpoint| &endpoint.cells);
    let requested = cells.filter(|cell| cell.counts.sent > 0).map(|cell| cell.second);
    0..requested.min().unwrap_or(0)
}

/// Returns how much more CPU the service used in `spans` than before the first request, in percent of the
/// CPUs available to it; no value unless enough of the seconds before were sampled.
fn cpu_increase(outcome: &Outcome, spans: &[Range<u32>]) -> (Option<f64>, u64) {
    let idle = [idle_span(outcome)];
    let (before, idle_samples) = cpu(outcome, &idle);
    let (used, samples) = cpu(outcome, spans);
    let before = before.filter(|_| has_coverage(outcome, idle_samples, &idle));
    (used.zip(before).map(|(used, before)| used - before), samples)
}

/// Returns how much more memory the service had at the end of `samples` than before the first request,
/// in MiB; no value unless enough of the seconds before were sampled.
fn memory_increase(outcome: &Outcome, samples: &[&ResourceSample]) -> (Option<f64>, u64) {
    let idle = idle_span(outcome);
    let before = outcome.samples.iter().filter(|sample| idle.contains(&sample.second));
    let before: Vec<f64> = before.filter_map(|sample| sample.service.memory_bytes).collect();
    let before = before.last().filter(|_| has_coverage(outcome, before.len() as u64, &[idle]));
    let values: Vec<f64> =
        samples.iter().filter_map(|sample| sample.service.memory_bytes).collect();
    let increase = values.last().zip(before).map(|(last, before)| (last - before) / MIB);
    (increase, values.len() as u64)
}

/// Returns the mean CPU usage in `spans`, in percent of the CPUs available to the service.
fn cpu(outcome: &Outcome, spans: &[Range<u32>]) -> (Option<f64>, u64) {
    let (used, seconds, count) = increase_over(outcome, spans, |service| service.cpu_seconds);
    let cpus = outcome.samples.iter().find_map(|sample| sample.service.cpus);
    let cpus = cpus.filter(|cpus| *cpus > 0.0);
    let mean = used.zip(cpus).filter(|_| seconds > 0);
    (mean.map(|(used, cpus)| used * 100.0 / f64::from(seconds) / cpus), count)
}

/// Returns the increase of a counter in `spans`.
fn increase(
    outcome: &Outcome,
    spans: &[Range<u32>],
    value: fn(&ServiceSample) -> Option<f64>,
) -> (Option<f64>, u64) {
    let (increase, _, count) = increase_over(outcome, spans, value);
    (increase, count)
}

/// Returns the increase of a counter in `spans`, the seconds that it was observed over, and the
/// number of samples. In each span it counts from the last sample before it, so that nothing is lost
/// between two windows. A counter that went back has restarted from zero.
fn increase_over(
    outcome: &Outcome,
    spans: &[Range<u32>],
    value: fn(&ServiceSample) -> Option<f64>,
) -> (Option<f64>, u32, u64) {
    let values: Vec<(u32, f64)> = outcome
        .samples
        .iter()
        .filter_map(|sample| Some((sample.second, value(&sample.service)?)))
        .collect();
    let (mut increase, mut seconds, mut count) = (0.0, 0, 0);
    for span in spans {
        let first = values.partition_point(|(second, _)| *second < span.start);
        let end = values.partition_point(|(second, _)| *second < span.end);
        count += (end - first) as u64;
        for pair in values[first.saturating_sub(1)..end.max(first)].windows(2) {
            let ((before, from), (second, to)) = (pair[0], pair[1]);
            seconds += second - before;
            increase += if to >= from { to - from } else { to };
        }
    }
    ((count > 0).then_some(increase), seconds, count)
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::report::example;

    #[test]
    fn cpu_usage_is_a_percentage_of_all_cpus() {
        let mut outcome = example::outcome();
        // The generator has fewer, because it is pinned to one of them.
        outcome.generator.cpus = 1;
        for sample in &mut outcome.samples {
            // Two CPUs fully used.
            sample.service.cpu_seconds = Some(f64::from(sample.second) * 2.0);
            sample.service.cpus = Some(4.0);
        }
        let judged = slice::from_ref(&outcome.judged_span()).to_vec();
        let (percent, _) = resource(&outcome, Resource::Cpu, &judged);
        assert!((percent.unwrap() - 50.0).abs() < 1e-9, "{percent:?}");
        for sample in &mut outcome.samples {
            sample.service.cpus = Some(0.0);
        }
        assert_eq!(resource(&outcome, Resource::Cpu, &judged).0, None, "none is no number of CPUs");
        for sample in &mut outcome.samples {
            sample.service.cpus = None;
        }
        assert_eq!(resource(&outcome, Resource::Cpu, &judged).0, None, "of how many CPUs?");
    }

    #[test]
    fn an_increase_is_that_since_before_the_first_request() {
        let mut outcome = example::outcome();
        for endpoint in &mut outcome.endpoints {
            endpoint.cells.retain(|cell| cell.second >= 10);
        }
        for sample in &mut outcome.samples {
            // 50 MiB and a tenth of a CPU, from second 10 on 80 MiB and a whole one, at the end 60 MiB.
            let second = f64::from(sample.second);
            let (mib, cpu_seconds) = match sample.second {
                0..10 => (50.0, second * 0.1),
                10..20 => (80.0, 0.9 + second - 9.0),
                _ => (60.0, 10.9 + (second - 19.0) * 0.1),
            };
            sample.service.memory_bytes = Some(mib * MIB);
            (sample.service.cpu_seconds, sample.service.cpus) = (Some(cpu_seconds), Some(2.0));
        }
        let of = |outcome: &Outcome, name, span: Range<u32>| {
            resource(outcome, name, slice::from_ref(&span)).0
        };
        let memory = Resource::MemoryIncrease;
        assert_eq!(of(&outcome, memory, 10..20), Some(30.0));
        assert_eq!(of(&outcome, memory, 10..30), Some(10.0), "at the end of the span");
        let cpu = |span| of(&outcome, Resource::CpuIncrease, span).unwrap();
        assert!((cpu(10..20) - 45.0).abs() < 1e-6, "50 % against 5 %: {}", cpu(10..20));
        assert!(cpu(20..30).abs() < 1e-6, "back: {}", cpu(20..30));
        // Too few samples before the first request, then none.
        outcome.samples.retain(|sample| !(1..7).contains(&sample.second));
        assert_eq!(of(&outcome, Resource::CpuIncrease, 10..20), None);
        assert_eq!(of(&outcome, memory, 10..20), None);
        outcome.samples.retain(|sample| sample.second >= 10);
        assert_eq!(of(&outcome, memory, 10..20), None);
    }

    #[test]
    fn a_single_sample_shows_no_cpu_usage() {
        let outcome = example::outcome();
        let mut first = outcome.samples[0].clone();
        first.service.cpus = Some(4.0);
        let outcome = Outcome { samples: vec![first], ..outcome };
        assert_eq!(resource(&outcome, Resource::Cpu, slice::from_ref(&(0..10))), (None, 1));
    }

    #[test]
    fn memory_is_its_maximum_in_mebibytes() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            let mib = if sample.second == 12 { 80.0 } else { 50.0 };
            sample.service.memory_bytes = Some(mib * 1_048_576.0);
        }
        let memory = |span| resource(&outcome, Resource::Memory, slice::from_ref(&span));
        assert_eq!(memory(10..20), (Some(80.0), 10));
        assert_eq!(memory(13..20), (Some(50.0), 7));
    }

    #[test]
    fn a_throughput_needs_a_known_number_of_seconds() {
        let tally = Tally { throughput_count: 600, ..Tally::default() };
        assert_eq!(throughput(&tally, 10.0), (Some(60.0), 600));
        assert_eq!(throughput(&tally, 0.0), (None, 600));
    }

    #[test]
    fn a_counter_that_restarts_counts_from_zero() {
        let mut outcome = example::outcome();
        for (sample, errors) in outcome.samples.iter_mut().zip([5.0, 7.0, 1.0, 4.0]) {
            sample.service.logged_errors = Some(errors);
        }
        outcome.samples.truncate(4);
        let run = slice::from_ref(&(0..u32::MAX)).to_vec();
        assert_eq!(resource(&outcome, Resource::LoggedErrors, &run), (Some(6.0), 4));
    }

    #[test]
    fn an_increase_between_two_windows_belongs_to_the_later_one() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.service.logged_errors = Some(f64::from(sample.second) * 50.0);
        }
        let of = |spans: &[Range<u32>]| resource(&outcome, Resource::LoggedErrors, spans).0;
        assert_eq!(of(slice::from_ref(&(10..11))), Some(50.0));
        let later = resource(&outcome, Resource::LoggedErrors, slice::from_ref(&(10..13)));
        assert_eq!(later, (Some(150.0), 3));
        // What happens between two spans belongs to neither.
        assert_eq!(of(&[10..12, 20..22]), Some(100.0 + 100.0 + 400.0 - 400.0 + 0.0));
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
