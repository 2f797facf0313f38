//! The slowest requests of an endpoint.

use std::time::Duration;

use reqwest::header::HeaderValue;

use crate::{outcome::SlowRequest, trace::RequestTrace};

/// Number of requests that are kept, of all and of those that are sampled.
pub(crate) const KEPT: usize = 5;

/// Longest request id that is kept, in bytes: the header is what the service sends.
const MAX_REQUEST_ID: usize = 128;

/// A request that can be found in the service.
#[derive(Clone, Debug)]
pub(super) struct FoundRequest {
    /// The trace, unless the request was sent without one.
    pub(super) trace: Option<RequestTrace>,
    /// The id in the response.
    pub(super) request_id: Option<HeaderValue>,
    pub(super) latency: Duration,
    /// First second of its cell.
    pub(super) second: u32,
    pub(super) status: Option<u16>,
}

/// The slowest requests of all and of those that are sampled, the slowest first. A sampled one leads to
/// its trace, although most requests are not sampled.
#[derive(Clone, Debug, Default)]
pub(super) struct Slowest {
    all: Vec<FoundRequest>,
    sampled: Vec<FoundRequest>,
}

impl Slowest {
    /// Adds a request if it is one of the slowest.
    pub(super) fn add(&mut self, request: &FoundRequest) {
        insert(&mut self.all, request);
        if request.is_sampled() {
            insert(&mut self.sampled, request);
        }
    }

    /// Adds the requests of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for request in &other.all {
            insert(&mut self.all, request);
        }
        for request in &other.sampled {
            insert(&mut self.sampled, request);
        }
    }

    /// Returns the requests, the slowest first.
    pub(super) fn into_requests(self) -> Vec<SlowRequest> {
        let Self { all: mut requests, sampled } = self;
        for request in sampled {
            if requests.iter().all(|known| known.trace != request.trace) {
                requests.push(request);
            }
        }
        let requests = requests.into_iter().map(|request| SlowRequest {
            trace_id: request.trace.map_or_else(String::new, |trace| format!("{:032x}", trace.id)),
            sampled: request.is_sampled(),
            request_id: request.request_id.as_ref().and_then(readable),
            latency_ms: request.latency.as_secs_f64() * 1000.0,
            second: request.second,
            status: request.status,
        });
        requests.collect()
    }
}

impl FoundRequest {
    fn is_sampled(&self) -> bool {
        self.trace.is_some_and(|trace| trace.sampled)
    }
}

fn insert(list: &mut Vec<FoundRequest>, request: &FoundRequest) {
    let at = list.partition_point(|known| known.latency >= request.latency);
    if at < KEPT {
        list.truncate(KEPT - 1);
        list.insert(at, request.clone());
    }
}

/// Returns the text of a request id; `None` if it is not one line of text, or too long.
fn readable(id: &HeaderValue) -> Option<String> {
    let text = id.to_str().ok()?;
    (!text.is_empty() && text.len() <= MAX_REQUEST_ID).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(slowest: &mut Slowest, milliseconds: &[u64], sampled: bool) {
        for milliseconds in milliseconds {
            slowest.add(&FoundRequest {
                trace: Some(RequestTrace { id: (*milliseconds).into(), sampled }),
                request_id: None,
                latency: Duration::from_millis(*milliseconds),
                second: 1,
                status: Some(200),
            });
        }
    }

    #[test]
    fn the_slowest_of_all_and_of_the_sampled_ones_are_kept() {
        let (mut slowest, mut other) = (Slowest::default(), Slowest::default());
        add(&mut slowest, &[10, 90, 20, 80, 40, 30], false);
        add(&mut slowest, &[1, 4, 2], true);
        add(&mut other, &[85, 15], false);
        add(&mut other, &[88, 3], true);
        slowest.merge(&other);
        let requests: Vec<(String, bool, f64)> = slowest
            .into_requests()
            .into_iter()
            .map(|request| (request.trace_id, request.sampled, request.latency_ms))
            .collect();
        let expected = [
            (90, false),
            (88, true),
            (85, false),
            (80, false),
            (40, false),
            (4, true),
            (3, true),
            (2, true),
            (1, true),
        ];
        assert_eq!(
            requests,
            expected.map(|(ms, sampled)| (format!("{ms:032x}"), sampled, f64::from(ms)))
        );
    }

    #[test]
    fn a_request_without_trace_is_kept_with_the_id_of_its_response() {
        let mut slowest = Slowest::default();
        for (ms, id) in [(9, "r-1"), (8, ""), (7, "\u{7f}")] {
            slowest.add(&FoundRequest {
                trace: None,
                request_id: HeaderValue::from_bytes(id.as_bytes()).ok(),
                latency: Duration::from_millis(ms),
                second: 1,
                status: Some(200),
            });
        }
        slowest.add(&FoundRequest {
            trace: None,
            request_id: HeaderValue::from_bytes(&[b'x'; 200]).ok(),
            latency: Duration::from_millis(6),
            second: 1,
            status: None,
        });
        let requests = slowest.into_requests();
        let ids: Vec<Option<&str>> =
            requests.iter().map(|request| request.request_id.as_deref()).collect();
        assert_eq!(ids, [Some("r-1"), None, None, None], "empty, not text, and too long");
        assert!(requests.iter().all(|request| request.trace_id.is_empty() && !request.sampled));
    }
}
