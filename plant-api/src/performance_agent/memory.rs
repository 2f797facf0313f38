//! Growth of the memory of a process over several snapshots.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Minimum number of snapshots; with fewer no growth is significant.
const MIN_SAMPLES: usize = 8;

/// Minimum time from the first to the last snapshot in seconds: caches and buffers fill faster.
const MIN_SPAN_SECONDS: f64 = 600.0;

/// Quantile of the normal distribution for a probability of 0.1 % that memory without a trend seems to
/// grow.
const SIGNIFICANT_Z: f64 = 3.09;

/// The memory of a process at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemorySample {
    pub at: DateTime<Utc>,
    /// Start of the process in seconds since the Unix epoch: another one has another memory.
    pub start_time: Option<f64>,
    /// Id of the process; `None` for other targets than this service.
    pub process: Option<Uuid>,
    pub bytes: f64,
}

/// Memory that keeps growing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    pub bytes_per_hour: f64,
    pub samples: u64,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Bytes of the first snapshot.
    pub first: f64,
    /// Bytes of the last snapshot.
    pub last: f64,
}

/// Returns the growth of the process of the last sample; `None` if its memory does not grow, or if
/// there are too few samples to decide. The samples are ordered by time.
///
/// The slope is the median of the slopes of all pairs (Theil–Sen). It must be significant by the test of
/// Mann and Kendall, and the smaller slope of all samples and of their second half counts: memory that
/// has grown at the start and then stays is no leak.
pub fn growth(samples: &[MemorySample]) -> Option<Growth> {
    let last = samples.last()?;
    let same_process: Vec<_> =
        samples.iter().filter(|sample| is_same_process(sample, last)).collect();
    let first = *same_process.first()?;
    let hours = |at: DateTime<Utc>| (at - first.at).as_seconds_f64() / 3600.0;
    let points: Vec<(f64, f64)> =
        same_process.iter().map(|sample| (hours(sample.at), sample.bytes)).collect();
    if points.len() < MIN_SAMPLES || hours(last.at) * 3600.0 < MIN_SPAN_SECONDS {
        return None;
    }
    if trend(&points) < SIGNIFICANT_Z {
        return None;
    }
    let all = median_slope(&points)?;
    let second_half = median_slope(&points[points.len() / 2..])?;
    let bytes_per_hour = all.min(second_half);
    (bytes_per_hour > 0.0).then_some(Growth {
        bytes_per_hour,
        samples: points.len() as u64,
        from: first.at,
        to: last.at,
        first: first.bytes,
        last: last.bytes,
    })
}

/// Compares the ids of the processes, or, without any, their start: the time at which a machine was booted,
/// and so the start of a process, is known to the second only.
fn is_same_process(a: &MemorySample, b: &MemorySample) -> bool {
    if a.process.is_some() || b.process.is_some() {
        return a.process == b.process;
    }
    match (a.start_time, b.start_time) {
        (Some(a), Some(b)) => (a - b).abs() < 5.0,
        (a, b) => a == b,
    }
}

/// Returns the statistic of Mann and Kendall, which is normally distributed without a trend.
fn trend(points: &[(f64, f64)]) -> f64 {
    let later = |index: usize| points[index + 1..].iter();
    let sign = |from: f64, to: f64| if to > from { 1.0 } else { -f64::from(u8::from(to < from)) };
    let signs = points
        .iter()
        .enumerate()
        .flat_map(|(index, (_, from))| later(index).map(move |(_, to)| sign(*from, *to)));
    let sum: f64 = signs.sum();
    let n = points.len() as f64;
    let variance = n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    (sum - sum.signum()) / variance.sqrt()
}

/// Returns the median of the slopes of all pairs of points at different times.
fn median_slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes: Vec<f64> = points
        .iter()
        .enumerate()
        .flat_map(|(index, (t, bytes))| {
            let later = points[index + 1..].iter().filter(move |(later, _)| later > t);
            later.map(move |(later, more)| (more - bytes) / (later - t))
        })
        .collect();
    if slopes.is_empty() {
        return None;
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    Some(if slopes.len().is_multiple_of(2) {
        f64::midpoint(slopes[middle - 1], slopes[middle])
    } else {
        slopes[middle]
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// Samples one minute apart, in MiB.
    fn samples(mib: &[f64]) -> Vec<MemorySample> {
        let sample = |(minute, mib): (usize, &f64)| MemorySample {
            at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute as i64),
            start_time: Some(100.0),
            process: None,
            bytes: mib * MIB,
        };
        mib.iter().enumerate().map(sample).collect()
    }

    fn mib_per_hour(mib: &[f64]) -> Option<f64> {
        growth(&samples(mib)).map(|growth| growth.bytes_per_hour / MIB)
    }

    #[test]
    fn memory_that_keeps_growing_grows_by_its_slope() {
        let growing: Vec<f64> = (0..12).map(|minute| 100.0 + 2.0 * f64::from(minute)).collect();
        let found = growth(&samples(&growing)).unwrap();
        assert!((found.bytes_per_hour / MIB - 120.0).abs() < 1e-6, "{found:?}");
        assert_eq!((found.samples, found.first, found.last), (12, 100.0 * MIB, 122.0 * MIB));
    }

    #[test]
    fn memory_that_has_grown_and_stays_is_no_leak() {
        let warm_up =
            [10.0, 60.0, 90.0, 99.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0];
        assert_eq!(mib_per_hour(&warm_up), None);
        let grown: Vec<f64> = (0..20).map(|minute| f64::from(10 * minute.min(12))).collect();
        assert_eq!(mib_per_hour(&grown), None, "the second half does not grow");
        let noise = [50.0, 52.0, 49.0, 51.0, 50.0, 53.0, 48.0, 51.0, 50.0, 52.0, 49.0, 51.0];
        assert_eq!(mib_per_hour(&noise), None);
        let shrinking: Vec<f64> = (0..12).map(|minute| 100.0 - f64::from(minute)).collect();
        assert_eq!(mib_per_hour(&shrinking), None);
    }

    #[test]
    fn a_short_time_and_another_process_do_not_count() {
        let growing: Vec<f64> = (0..12).map(f64::from).collect();
        assert_eq!(mib_per_hour(&growing[..10]), None, "9 minutes");
        let mut restarted = samples(&growing);
        for sample in &mut restarted[..5] {
            sample.start_time = Some(90.0);
        }
        assert_eq!(growth(&restarted), None);
        // Two replicas that started together, of which one has much more memory.
        let mut replicas = samples(&growing);
        for (index, sample) in replicas.iter_mut().enumerate() {
            sample.process = Some(Uuid::from_u128(u128::from(index >= 6)));
        }
        assert_eq!(growth(&replicas), None);
        replicas.iter_mut().for_each(|sample| sample.process = Some(Uuid::nil()));
        assert!(growth(&replicas).is_some());
        assert_eq!(growth(&[]), None);
    }

    proptest! {
        /// Noise without a trend is rarely taken for growth; a leak that exceeds the noise is found.
        #[test]
        fn a_leak_is_found_in_noise(
            noise in proptest::collection::vec(-1.0..1.0_f64, 30),
            slope in 0.5..5.0_f64,
        ) {
            let leak: Vec<f64> =
                noise.iter().enumerate().map(|(i, noise)| 100.0 + slope * i as f64 + noise).collect();
            let found = mib_per_hour(&leak).unwrap();
            prop_assert!(found > 0.6 * 60.0 * slope && found < 1.4 * 60.0 * slope, "{}", found);
        }
    }
}
