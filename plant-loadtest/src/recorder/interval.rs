//! Statistics of the requests that finished between two reports, for a master that adds them up.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    RequestSample,
    failures::{Failures, Occurrences},
};
use crate::distribution::Distribution;

/// Statistics of the requests that finished in an interval.
#[derive(Clone, Debug, Default)]
pub struct IntervalStats {
    /// By the name of the endpoint.
    pub endpoints: BTreeMap<&'static str, RequestInterval>,
    /// All failures.
    pub failures: Failures<'static, SystemTime>,
}

/// Requests to one endpoint, successful or not. Times are those of the system clock.
#[derive(Clone, Debug, Default)]
pub struct RequestInterval {
    /// Number of requests.
    pub requests: u64,
    /// Number of failures among them.
    pub failures: u64,
    /// Latencies of all requests.
    pub latency: Distribution,
    /// Sum of all latencies.
    pub total_latency: Duration,
    /// Lowest and highest latency; `None` without requests.
    pub extremes: Option<(Duration, Duration)>,
    /// Size of all response bodies, in bytes.
    pub bytes: u64,
    /// When the first request finished, and the last one; `None` without requests.
    pub period: Option<(SystemTime, SystemTime)>,
    /// Number of requests by the second since 1970 in which they finished.
    pub requests_by_second: BTreeMap<u64, u64>,
    /// Number of failures by the second since 1970 in which they finished.
    pub failures_by_second: BTreeMap<u64, u64>,
}

impl IntervalStats {
    /// Adds a request that finished at `now`.
    pub(super) fn record(&mut self, sample: &RequestSample, now: SystemTime) {
        let latency = sample.last_byte.saturating_duration_since(sample.intended_start);
        let second = seconds_since_1970(now);
        let failed = u64::from(sample.failure.is_some());
        let of_endpoint = self.endpoints.entry(sample.endpoint).or_default();
        of_endpoint.requests += 1;
        of_endpoint.failures += failed;
        of_endpoint.latency.record(latency);
        of_endpoint.total_latency += latency;
        of_endpoint.extremes = widen(of_endpoint.extremes, Some((latency, latency)));
        of_endpoint.bytes += sample.bytes;
        of_endpoint.period = widen(of_endpoint.period, Some((now, now)));
        *of_endpoint.requests_by_second.entry(second).or_default() += 1;
        if let Some((kind, message)) = &sample.failure {
            *of_endpoint.failures_by_second.entry(second).or_default() += 1;
            self.failures.add(sample.endpoint, *kind, message.clone(), Occurrences::once(now));
        }
    }

    /// Adds another interval.
    pub(super) fn add(&mut self, other: Self) {
        for (endpoint, theirs) in other.endpoints {
            self.endpoints.entry(endpoint).or_default().add(theirs);
        }
        self.failures.add_all(&other.failures);
    }

    /// Returns the sum over all endpoints.
    #[must_use]
    pub fn total(&self) -> RequestInterval {
        let mut total = RequestInterval::default();
        for endpoint in self.endpoints.values() {
            total.add(endpoint.clone());
        }
        total
    }
}

impl RequestInterval {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failures += other.failures;
        self.latency.merge(&other.latency);
        self.total_latency += other.total_latency;
        self.extremes = widen(self.extremes, other.extremes);
        self.bytes += other.bytes;
        self.period = widen(self.period, other.period);
        for (second, count) in other.requests_by_second {
            *self.requests_by_second.entry(second).or_default() += count;
        }
        for (second, count) in other.failures_by_second {
            *self.failures_by_second.entry(second).or_default() += count;
        }
    }
}

/// Returns the range that contains both.
fn widen<T: Ord>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    match (one, other) {
        (Some((from, to)), Some((other_from, other_to))) => {
            Some((from.min(other_from), to.max(other_to)))
        }
        (one, other) => one.or(other),
    }
}

fn seconds_since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{failure::FailureKind, recorder::Recorder};

    #[test]
    fn every_request_is_in_exactly_one_interval() {
        let recorder = Recorder::new(2).with_intervals();
        recorder.start(Instant::now());
        let finish = |endpoint, millis, failure: Option<&str>| {
            let shard = recorder.assign_shard();
            let start = Instant::now();
            recorder.record_sent(shard, endpoint, start);
            let sample = RequestSample {
                endpoint,
                intended_start: start,
                sent_at: start,
                first_byte: None,
                last_byte: start + Duration::from_millis(millis),
                status: Some(200),
                bytes: 7,
                failure: failure.map(|text| (FailureKind::ServerError, text.to_owned())),
                trace: None,
                request_id: None,
            };
            recorder.record_finished(shard, sample);
        };
        finish("GET /x", 5, None);
        finish("GET /x", 9, Some("500"));
        finish("GET /x", 7, Some("500"));
        finish("GET /y", 1, None);
        let first = recorder.take_interval();
        let total = first.total();
        assert_eq!((total.requests, total.failures, total.bytes), (4, 2, 28));
        assert_eq!(total.total_latency, Duration::from_millis(22));
        assert_eq!(total.extremes, Some((Duration::from_millis(1), Duration::from_millis(9))));
        assert_eq!(total.requests_by_second.values().sum::<u64>(), 4);
        assert_eq!(total.failures_by_second.values().sum::<u64>(), 2);
        assert_eq!(total.latency.len(), 4);
        let failures: Vec<u64> = first.failures.iter().map(|(.., known)| known.count).collect();
        assert_eq!(failures, [2]);
        finish("GET /y", 3, None);
        assert_eq!(recorder.take_interval().total().requests, 1, "only what is new");
        assert!(recorder.take_interval().endpoints.is_empty());
        assert_eq!(
            recorder.merge(&[]).0.iter().map(|one| one.tally_all().counts.sent).sum::<u64>(),
            5
        );
        assert!(Recorder::new(1).take_interval().endpoints.is_empty(), "not by default");
    }
}
