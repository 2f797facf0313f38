//! The measurements that one shard holds.

use std::{collections::BTreeMap, time::SystemTime};

use super::{
    RequestSample,
    failures::{Failures, Occurrences},
    interval::IntervalStats,
    slowest::{FoundRequest, Slowest},
};
use crate::{
    distribution::Distribution,
    failure::FailureKind,
    outcome::{ArrivalCell, Counter, CounterCell, Counts, EndpointCell, EndpointResults, Tally},
};

#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) endpoints: BTreeMap<&'static str, EndpointRecords>,
    pub(super) failures: Failures<'static, u32>,
    pub(super) arrivals: BTreeMap<u32, ArrivalCell>,
    pub(super) counters: BTreeMap<&'static str, BTreeMap<u32, u64>>,
    pub(super) sent: u64,
    pub(super) errors: u64,
    pub(super) dropped: u64,
    /// Statistics since they were last taken; `None` if nobody takes them.
    pub(super) interval: Option<IntervalStats>,
}

#[derive(Debug, Default)]
pub(super) struct EndpointRecords {
    statuses: BTreeMap<u16, u64>,
    bytes: u64,
    first_byte: Distribution,
    service_time: Distribution,
    outside_load: Counts,
    pub(super) skipped: u64,
    slowest: Slowest,
    pub(super) cells: BTreeMap<u32, Tally>,
}

impl Records {
    pub(super) fn cell(&mut self, endpoint: &'static str, second: u32) -> &mut Tally {
        let records = self.endpoints.entry(endpoint).or_default();
        records.cells.entry(second).or_default()
    }

    pub(super) fn arrival(&mut self, second: u32) -> &mut ArrivalCell {
        let entry = self.arrivals.entry(second);
        entry.or_insert_with(|| ArrivalCell { second, ..ArrivalCell::default() })
    }

    /// Records a request that belongs to the cell `start_cell`, and whose success counts for
    /// throughput in the cell `throughput_cell`.
    pub(super) fn record(&mut self, start_cell: u32, throughput_cell: u32, sample: RequestSample) {
        if let Some(interval) = &mut self.interval {
            interval.record(&sample, SystemTime::now());
        }
        let kind = sample.failure.as_ref().map(|(kind, _)| *kind);
        let tally = self.cell(sample.endpoint, start_cell);
        tally.counts.count(kind);
        if let Some(status) = sample.status {
            *tally.statuses.entry(status).or_default() += 1;
        }
        let counts_as_latency = matches!(kind, None | Some(FailureKind::TimedOut));
        let latency = sample.last_byte.saturating_duration_since(sample.intended_start);
        if counts_as_latency {
            tally.latency.record(latency);
        } else {
            tally.failure_latency.record(latency);
        }
        if kind.is_none() {
            self.cell(sample.endpoint, throughput_cell).throughput_count += 1;
        }
        let records = self.endpoints.entry(sample.endpoint).or_default();
        if counts_as_latency {
            records.service_time.record(sample.last_byte.saturating_duration_since(sample.sent_at));
            if sample.trace.is_some() || sample.request_id.is_some() {
                records.slowest.add(&FoundRequest {
                    trace: sample.trace,
                    request_id: sample.request_id,
                    latency,
                    second: start_cell,
                    status: sample.status,
                });
            }
        }
        records.bytes += sample.bytes;
        if let Some(status) = sample.status {
            *records.statuses.entry(status).or_default() += 1;
        }
        if let Some(first_byte) = sample.first_byte {
            records.first_byte.record(first_byte.saturating_duration_since(sample.sent_at));
        }
        if let Some((kind, message)) = sample.failure {
            self.errors += 1;
            self.failures.add(sample.endpoint, kind, message, Occurrences::once(start_cell));
        }
    }

    /// Records a finished request outside the load, at the time of the cell `second`.
    pub(super) fn record_outside_load(
        &mut self,
        second: u32,
        endpoint: &'static str,
        failure: Option<(FailureKind, String)>,
    ) {
        let counts = &mut self.endpoints.entry(endpoint).or_default().outside_load;
        counts.sent += 1;
        counts.count(failure.as_ref().map(|(kind, _)| *kind));
        if let Some((kind, message)) = failure {
            self.failures.add(endpoint, kind, message, Occurrences::once(second));
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.add_since(other, 0);
        for (name, theirs) in &other.endpoints {
            let ours = self.endpoints.entry(name).or_default();
            ours.first_byte.merge(&theirs.first_byte);
            ours.service_time.merge(&theirs.service_time);
            ours.slowest.merge(&theirs.slowest);
        }
    }

    /// Adds the cells of `other` from second `from` on, without the distributions of the whole run.
    pub(super) fn add_since(&mut self, other: &Self, from: u32) {
        for (name, theirs) in &other.endpoints {
            let ours = self.endpoints.entry(name).or_default();
            ours.bytes += theirs.bytes;
            ours.outside_load.add(&theirs.outside_load);
            ours.skipped += theirs.skipped;
            for (status, count) in &theirs.statuses {
                *ours.statuses.entry(*status).or_default() += count;
            }
            for (second, tally) in theirs.cells.range(from..) {
                ours.cells.entry(*second).or_default().add(tally);
            }
        }
        self.failures.add_all(&other.failures);
        self.add_arrivals_since(other, from);
    }

    /// Adds `count` to the counter `name` in the cell `second`.
    pub(super) fn count(&mut self, name: &'static str, second: u32, count: u64) {
        *self.counters.entry(name).or_default().entry(second).or_default() += count;
    }

    /// Adds the counters of `other` from second `from` on.
    pub(super) fn add_counters_since(&mut self, other: &Self, from: u32) {
        for (name, cells) in &other.counters {
            for (second, count) in cells.range(from..) {
                self.count(name, *second, *count);
            }
        }
    }

    pub(super) fn add_arrivals(&mut self, other: &Self) {
        self.add_arrivals_since(other, 0);
    }

    fn add_arrivals_since(&mut self, other: &Self, from: u32) {
        for (second, theirs) in other.arrivals.range(from..) {
            let ours = self.arrival(*second);
            ours.scheduled += theirs.scheduled;
            ours.waited += theirs.waited;
            ours.dropped += theirs.dropped;
            ours.wait.merge(&theirs.wait);
            ours.dispatch_lag.merge(&theirs.dispatch_lag);
        }
    }
}

pub(super) fn endpoint((name, records): (&'static str, EndpointRecords)) -> EndpointResults {
    let cells = records.cells.into_iter();
    EndpointResults {
        name: name.into(),
        statuses: records.statuses,
        bytes: records.bytes,
        first_byte: records.first_byte,
        service_time: records.service_time,
        outside_load: records.outside_load,
        skipped: records.skipped,
        slowest: records.slowest.into_requests(),
        cells: cells
            .map(|(second, tally)| EndpointCell {
                second,
                counts: tally.counts,
                latency: tally.latency,
                failure_latency: tally.failure_latency,
                throughput_count: tally.throughput_count,
                statuses: tally.statuses,
            })
            .collect(),
    }
}

pub(super) fn counter((name, cells): (&'static str, BTreeMap<u32, u64>)) -> Counter {
    let cells = cells.into_iter().map(|(second, count)| CounterCell { second, count });
    Counter { name: name.into(), cells: cells.collect() }
}
