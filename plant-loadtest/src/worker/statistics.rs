//! Statistics as Locust's master adds them up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::message::{ResponseTimes, StatsEntry, StatsError, StatsReport, UserReport};
use crate::recorder::{IntervalStats, RequestInterval};

/// Name of the sum of all endpoints in Locust.
const TOTAL: &str = "Aggregated";

/// Returns the report of the requests that finished since `since`.
pub fn report(stats: &IntervalStats, since: SystemTime, users: UserReport) -> StatsReport {
    let entries = stats.endpoints.iter().map(|(endpoint, interval)| {
        let (method, name) = split_name(endpoint);
        entry(method, name, interval, since)
    });
    let errors = stats.failures.iter().map(|(endpoint, _, message, failure)| {
        let (method, name) = split_name(endpoint);
        let error = StatsError {
            name: name.to_owned(),
            method: method.to_owned(),
            error: message.to_owned(),
            occurrences: failure.count,
            first_seen: seconds_since_1970(failure.first),
            last_seen: seconds_since_1970(failure.last),
        };
        (error_key(&error), error)
    });
    StatsReport {
        stats: entries.collect(),
        stats_total: entry("", TOTAL, &stats.total(), since),
        // Failures of several kinds may have the same message.
        errors: errors.fold(Default::default(), |mut all, (key, error): (String, StatsError)| {
            all.entry(key).and_modify(|same: &mut StatsError| add(same, &error)).or_insert(error);
            all
        }),
        users,
    }
}

/// Returns method and path of an endpoint such as `GET /items`; without a method if it has no space.
fn split_name(endpoint: &str) -> (&str, &str) {
    endpoint.split_once(' ').unwrap_or(("", endpoint))
}

fn entry(method: &str, name: &str, interval: &RequestInterval, since: SystemTime) -> StatsEntry {
    let (min, max) = interval.extremes.unzip();
    StatsEntry {
        name: name.to_owned(),
        method: method.to_owned(),
        last_request_timestamp: interval.period.map(|(_, last)| seconds_since_1970(last)),
        start_time: seconds_since_1970(since),
        num_requests: interval.requests,
        num_none_requests: 0,
        num_failures: interval.failures,
        total_response_time: millis(interval.total_latency),
        max_response_time: max.map_or(0.0, millis),
        min_response_time: min.map(millis),
        total_content_length: interval.bytes,
        response_times: response_times(interval),
        num_reqs_per_sec: interval.requests_by_second.clone(),
        num_fail_per_sec: interval.failures_by_second.clone(),
    }
}

/// Returns the response times with three significant digits: one more than Locust's own, so that times below
/// ten milliseconds are no whole numbers.
fn response_times(interval: &RequestInterval) -> ResponseTimes {
    let mut times: Vec<(f64, u64)> = Vec::new();
    for (lowest, count) in interval.latency.buckets_ms() {
        let rounded = three_digits(lowest);
        match times.last_mut() {
            Some((last, same)) if (*last - rounded).abs() < f64::EPSILON => *same += count,
            _ => times.push((rounded, count)),
        }
    }
    ResponseTimes(times)
}

fn three_digits(millis: f64) -> f64 {
    let unit = 10_f64.powf(millis.log10().floor() - 2.0);
    let digits = (millis / unit).round();
    // A division by a whole power of ten is exact where a multiplication with its inverse is not.
    if unit < 1.0 { digits / (1.0 / unit).round() } else { digits * unit.round() }
}

/// Returns the key under which masters add up occurrences of the same error.
fn error_key(error: &StatsError) -> String {
    let StatsError { method, name, error, .. } = error;
    hex::encode(Sha256::digest(format!("{method}.{name}.'{error}'")))
}

fn add(same: &mut StatsError, other: &StatsError) {
    same.occurrences += other.occurrences;
    same.first_seen = same.first_seen.min(other.first_seen);
    same.last_seen = same.last_seen.max(other.last_seen);
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Returns `time` in seconds since 1970.
pub fn seconds_since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        failure::FailureKind,
        recorder::{Failures, Occurrences},
    };

    fn interval(micros: &[u64], failures: u64) -> RequestInterval {
        let mut interval = RequestInterval { failures, bytes: 5, ..RequestInterval::default() };
        let at = UNIX_EPOCH + Duration::from_millis(7500);
        for micros in micros {
            let latency = Duration::from_micros(*micros);
            interval.requests += 1;
            interval.latency.record(latency);
            interval.total_latency += latency;
            let (min, max) = interval.extremes.unwrap_or((latency, latency));
            interval.extremes = Some((min.min(latency), max.max(latency)));
            interval.period = Some((at, at));
        }
        interval.requests_by_second = [(7, interval.requests)].into();
        interval
    }

    fn users() -> UserReport {
        UserReport { user_classes_count: BTreeMap::new(), user_count: 0 }
    }

    #[test]
    fn entries_add_up_to_the_total() {
        let stats = IntervalStats {
            endpoints: [
                ("GET /x", interval(&[1500, 2500], 0)),
                ("search", interval(&[1_234_567], 1)),
            ]
            .into(),
            failures: Failures::default(),
        };
        let report = report(&stats, UNIX_EPOCH + Duration::from_secs(5), users());
        let names: Vec<_> =
            report.stats.iter().map(|one| (one.method.as_str(), one.name.as_str())).collect();
        assert_eq!(names, [("GET", "/x"), ("", "search")]);
        let total = &report.stats_total;
        assert_eq!((total.name.as_str(), total.method.as_str()), ("Aggregated", ""));
        assert_eq!((total.num_requests, total.num_failures), (3, 1));
        assert_eq!(total.total_response_time, 1.5 + 2.5 + 1234.567);
        assert_eq!((total.min_response_time, total.max_response_time), (Some(1.5), 1234.567));
        assert_eq!((total.start_time, total.last_request_timestamp), (5.0, Some(7.5)));
        assert_eq!(total.num_reqs_per_sec, [(7, 3)].into());
        assert_eq!(total.response_times.0, [(1.5, 1), (2.5, 1), (1230.0, 1)]);
        let empty = super::report(&IntervalStats::default(), UNIX_EPOCH, users());
        assert_eq!(empty.stats_total.last_request_timestamp, None);
        assert_eq!(empty.stats_total.min_response_time, None);
        assert!(empty.stats.is_empty());
    }

    #[test]
    fn response_times_have_three_digits_and_keep_every_request() {
        for (millis, rounded) in [
            (0.001, 0.001),
            (0.1234, 0.123),
            (9.996, 10.0),
            (12.34, 12.3),
            (145.6, 146.0),
            (5432.1, 5430.0),
        ] {
            assert_eq!(three_digits(millis), rounded, "{millis}");
        }
        let interval = interval(&(1..=3000).map(|n| n * n).collect::<Vec<_>>(), 0);
        let times = response_times(&interval).0;
        assert_eq!(times.iter().map(|(_, count)| count).sum::<u64>(), 3000);
        assert!(times.is_sorted_by(|one, other| one.0 < other.0), "each key once");
        assert!(times.len() < 900 * 7);
    }

    #[test]
    fn an_error_has_one_key_whatever_its_kind() {
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        let mut failures = Failures::default();
        for (endpoint, kind, first, last) in [
            ("GET /x", FailureKind::ServerError, 3, 4),
            ("GET /x", FailureKind::Connection, 2, 9),
            ("GET /y", FailureKind::Connection, 2, 9),
        ] {
            let occurrences = Occurrences { count: 2, first: at(first), last: at(last) };
            failures.add(endpoint, kind, "reset".to_owned(), occurrences);
        }
        let stats = IntervalStats { endpoints: BTreeMap::new(), failures };
        let errors = report(&stats, UNIX_EPOCH, users()).errors;
        assert_eq!(errors.len(), 2);
        // hashlib.sha256(b"GET./x.'reset'").hexdigest()
        let key = "c4fbecf7056de4da3ef8b7d958a1c484bf241bc5a5f638896a6c8a2f4b0ff0d1";
        let error = &errors[key];
        assert_eq!((error.occurrences, error.first_seen, error.last_seen), (4, 2.0, 9.0));
        assert_eq!((error.method.as_str(), error.name.as_str()), ("GET", "/x"));
    }
}
