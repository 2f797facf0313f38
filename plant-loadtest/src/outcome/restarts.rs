//! Restarts of the service, as its samples show them.

use super::{Outcome, ServiceSample};

/// Differences of start times below this are rounding, in seconds: a start time is derived from clock
/// ticks.
const ROUNDING_S: f64 = 1.0;

impl Outcome {
    /// Returns how often the service was restarted during the run. `None` if neither its start time nor a
    /// counter of its process was sampled.
    ///
    /// A start time counts that is newer than any before and lies within the run. Behind a load balancer
    /// each sample may come from another replica: its start time is another one, but an earlier one, or
    /// one before the run. If the start time is not sampled, a counter that went back counts.
    #[must_use]
    pub fn restarts(&self) -> Option<u32> {
        let mut samples = self
            .samples
            .iter()
            .map(|sample| sample.service)
            .filter(ServiceSample::identifies_process);
        let mut before = samples.next()?;
        let mut newest = before.started_at;
        let mut restarts = 0;
        for sample in samples {
            let is_restarted = match (sample.started_at, newest) {
                (Some(start), Some(newest)) => {
                    start > newest + ROUNDING_S && self.contains_start(start)
                }
                _ => sample.counts_less_than(&before),
            };
            restarts += u32::from(is_restarted);
            newest = [newest, sample.started_at].into_iter().flatten().reduce(f64::max);
            before = ServiceSample {
                cpu_seconds: sample.cpu_seconds.or(before.cpu_seconds),
                logged_errors: sample.logged_errors.or(before.logged_errors),
                ..sample
            };
        }
        Some(restarts)
    }

    /// Returns whether the `start` of a process, in seconds since 1970, is not before the start of the run.
    fn contains_start(&self, start: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53")]
        let run_start = self.started_at.timestamp_millis() as f64 / 1000.0;
        start > run_start - ROUNDING_S
    }
}

impl ServiceSample {
    pub(super) fn identifies_process(&self) -> bool {
        self.started_at.is_some() || self.cpu_seconds.is_some()
    }

    /// Returns whether a counter of the process is lower than in the sample `before`.
    fn counts_less_than(&self, before: &Self) -> bool {
        let went_back = |(now, before): (f64, f64)| now < before - f64::EPSILON;
        self.cpu_seconds.zip(before.cpu_seconds).is_some_and(went_back)
            || self.logged_errors.zip(before.logged_errors).is_some_and(went_back)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        outcome::{Outcome, ResourceSample, ServiceSample},
        report::example,
    };

    /// Start time, CPU seconds and logged errors of one sample. Start times count from that of the run.
    type Values = (Option<f64>, Option<f64>, Option<f64>);

    fn restarts(values: &[Values]) -> Option<u32> {
        let outcome = example::outcome();
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 stay below 2^53")]
        let run_start = outcome.started_at.timestamp() as f64;
        let samples = values.iter().map(|(started_at, cpu_seconds, logged_errors)| {
            let service = ServiceSample {
                started_at: started_at.map(|start| run_start + start),
                cpu_seconds: *cpu_seconds,
                logged_errors: *logged_errors,
                ..ServiceSample::default()
            };
            ResourceSample { service, ..ResourceSample::default() }
        });
        Outcome { samples: samples.collect(), ..outcome }.restarts()
    }

    fn starts(starts: &[f64]) -> Option<u32> {
        // Each process has its own CPU time, which is lower when another one answers.
        let values = starts.iter().map(|start| (Some(*start), Some(200.0 - start), None));
        restarts(&values.collect::<Vec<_>>())
    }

    #[test]
    fn only_a_start_that_is_newer_than_any_before_is_a_restart() {
        assert_eq!(starts(&[-90.0, -90.0, 20.0, 20.0]), Some(1));
        assert_eq!(starts(&[-90.0, 20.0, 50.0]), Some(2));
        // Two replicas answer in turns; one of them is restarted.
        assert_eq!(starts(&[-70.0, -90.0, -70.0, -90.0]), Some(0));
        assert_eq!(starts(&[-70.0, -90.0, 20.0, -90.0, 20.0, -70.0]), Some(1));
    }

    #[test]
    fn a_replica_that_started_before_the_run_is_no_restart() {
        assert_eq!(starts(&[-90.0, -70.0, -90.0, -70.0]), Some(0));
        assert_eq!(starts(&[-90.0, -1.5]), Some(0));
        assert_eq!(starts(&[-90.0, 0.5]), Some(1), "the run had just started");
    }

    #[test]
    fn counters_decide_only_without_a_start_time() {
        let (started, cpu) = (Some(-90.0), Some(5.0));
        let cpu_gap = [(None, cpu, None), (None, None, Some(1.0)), (None, Some(1.0), None)];
        assert_eq!(restarts(&cpu_gap[..1]), Some(0));
        assert_eq!(restarts(&[cpu_gap[0], (None, Some(4.0), None)]), Some(1));
        assert_eq!(
            restarts(&[(started, cpu, None), (None, cpu, None), (Some(9.0), cpu, None)]),
            Some(1)
        );
        assert_eq!(
            restarts(&[(None, cpu, None), (started, None, None), (None, Some(1.0), None)]),
            Some(1)
        );
        let errors = [(None, cpu, Some(7.0)), (None, cpu, None), (None, cpu, Some(2.0))];
        assert_eq!(restarts(&errors), Some(1));
        let same_start = [(started, cpu, Some(7.0)), (started, Some(1.0), Some(2.0))];
        assert_eq!(restarts(&same_start), Some(0), "another replica that started at the same time");
        assert_eq!(
            restarts(&[(started, cpu, None), (Some(-89.1), cpu, None)]),
            Some(0),
            "rounding"
        );
        assert_eq!(restarts(&[(None, None, Some(1.0))]), None);
    }
}
