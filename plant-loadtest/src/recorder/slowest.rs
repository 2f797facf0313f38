//! The slowest requests of an endpoint.

use std::time::Duration;

use crate::{outcome::SlowRequest, trace::RequestTrace};

/// Number of requests that are kept, of all and of those that are sampled.
const KEPT: usize = 3;

/// A request with a trace.
#[derive(Clone, Copy, Debug)]
pub(super) struct TracedRequest {
    pub(super) trace: RequestTrace,
    pub(super) latency: Duration,
    /// First second of its cell.
    pub(super) second: u32,
    pub(super) status: Option<u16>,
}

/// The slowest requests of all and of those that are sampled, the slowest first. A sampled one leads to
/// its trace, although most requests are not sampled.
#[derive(Clone, Debug, Default)]
pub(super) struct Slowest {
    all: Vec<TracedRequest>,
    sampled: Vec<TracedRequest>,
}

impl Slowest {
    /// Adds a request if it is one of the slowest.
    pub(super) fn add(&mut self, request: TracedRequest) {
        insert(&mut self.all, request);
        if request.trace.sampled {
            insert(&mut self.sampled, request);
        }
    }

    /// Adds the requests of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for request in &other.all {
            insert(&mut self.all, *request);
        }
        for request in &other.sampled {
            insert(&mut self.sampled, *request);
        }
    }

    /// Returns the requests, the slowest first.
    pub(super) fn into_requests(self) -> Vec<SlowRequest> {
        let Self { all: mut requests, sampled } = self;
        for request in sampled {
            if requests.iter().all(|known| known.trace.id != request.trace.id) {
                requests.push(request);
            }
        }
        let requests = requests.into_iter().map(|request| SlowRequest {
            trace_id: format!("{:032x}", request.trace.id),
            sampled: request.trace.sampled,
            latency_ms: request.latency.as_secs_f64() * 1000.0,
            second: request.second,
            status: request.status,
        });
        requests.collect()
    }
}

fn insert(list: &mut Vec<TracedRequest>, request: TracedRequest) {
    let at = list.partition_point(|known| known.latency >= request.latency);
    if at < KEPT {
        list.truncate(KEPT - 1);
        list.insert(at, request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(slowest: &mut Slowest, milliseconds: &[u64], sampled: bool) {
        for milliseconds in milliseconds {
            slowest.add(TracedRequest {
                trace: RequestTrace { id: (*milliseconds).into(), sampled },
                latency: Duration::from_millis(*milliseconds),
                second: 1,
                status: Some(200),
            });
        }
    }

    #[test]
    fn the_slowest_of_all_and_of_the_sampled_ones_are_kept() {
        let (mut slowest, mut other) = (Slowest::default(), Slowest::default());
        add(&mut slowest, &[10, 90, 20, 80], false);
        add(&mut slowest, &[1, 4, 2], true);
        add(&mut other, &[85, 15], false);
        add(&mut other, &[88, 3], true);
        slowest.merge(&other);
        let requests: Vec<(String, bool, f64)> = slowest
            .into_requests()
            .into_iter()
            .map(|request| (request.trace_id, request.sampled, request.latency_ms))
            .collect();
        let expected = [(90, false), (88, true), (85, false), (4, true), (3, true)];
        assert_eq!(
            requests,
            expected.map(|(ms, sampled)| (format!("{ms:032x}"), sampled, f64::from(ms)))
        );
    }
}
