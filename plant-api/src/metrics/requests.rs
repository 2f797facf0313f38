//! Metrics of HTTP requests, whose text in a scrape is limited.
//!
//! Counters and histograms are kept by method and route template, each family until its text has
//! reached a limit; what comes later is counted with the path [`OTHER`]. Sums over all paths are therefore
//! always complete. A route gets a histogram with its first response that is not a client error, so that
//! refused callers cannot take the place of routes in use.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

use super::{DURATION_BUCKETS, register};

/// `path` of requests that match no route, or no method of a route.
const UNMATCHED: &str = "unmatched";
/// `path` of the requests that have no series of their own.
const OTHER: &str = "other";
/// `method` of the durations of requests that have no histogram of their own.
const OTHER_METHOD: &str = "OTHER";

/// Maximum size in bytes of the text of the counters.
const MAX_COUNTER_TEXT: usize = 48 * 1024;
/// Maximum size in bytes of the text of the histograms.
const MAX_HISTOGRAM_TEXT: usize = 56 * 1024;

/// Counters and durations of HTTP requests. Clones share the state.
#[derive(Clone)]
pub struct RequestMetrics(Arc<Inner>);

struct Inner {
    responses: IntCounterVec,
    durations: HistogramVec,
    /// Durations of the requests that have no histogram of their own.
    other_durations: Histogram,
    series: RwLock<Series>,
}

/// The series in use and the size of their text.
#[derive(Default)]
struct Series {
    by_path: HashMap<String, Vec<(&'static str, Route)>>,
    counter_text: usize,
    histogram_text: usize,
}

/// The series of one method and path.
#[derive(Default)]
struct Route {
    counters: Vec<(StatusCode, IntCounter)>,
    /// `None` until a response that is not a client error.
    histogram: Option<Histogram>,
}

impl RequestMetrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// When a metric of the same name is registered, which is a bug.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let responses = IntCounterVec::new(
            Opts::new(
                "http_requests_total",
                "HTTP responses by method, route template and status.",
            ),
            &["method", "path", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "http_request_duration_seconds",
                "Duration of HTTP requests in seconds, by method and route template.",
            )
            .buckets(DURATION_BUCKETS.to_vec()),
            &["method", "path"],
        )?;
        Ok(Self(Arc::new(Inner {
            responses: register(registry, responses)?,
            other_durations: durations.with_label_values(&[OTHER_METHOD, OTHER]),
            durations: register(registry, durations)?,
            series: RwLock::default(),
        })))
    }

    /// Starts the counter of a response at zero, so that a query returns a value before the first one.
    pub fn start_at_zero(&self, method: &'static str, path: &str, status: StatusCode) {
        let mut series = self.0.series.write().unwrap_or_else(PoisonError::into_inner);
        self.0.open_counter(&mut series, method, path, status);
    }

    /// Counts a response and its duration in seconds, from request headers read to response ready.
    /// `path` is the route template, `None` without a route.
    pub fn record(
        &self,
        method: &'static str,
        path: Option<&str>,
        status: StatusCode,
        seconds: f64,
    ) {
        // The method is none of the route's.
        let path = path.filter(|_| status != StatusCode::METHOD_NOT_ALLOWED).unwrap_or(UNMATCHED);
        let (counter, histogram) = self.0.find(method, path, status).unwrap_or_else(|| {
            let mut series = self.0.series.write().unwrap_or_else(PoisonError::into_inner);
            (
                self.0.open_counter(&mut series, method, path, status),
                self.0.open_histogram(&mut series, method, path, status),
            )
        });
        counter.inc();
        histogram.observe(seconds);
    }
}

impl Inner {
    /// Returns the series of a response; `None` if one of them is still to be opened.
    fn find(
        &self,
        method: &str,
        path: &str,
        status: StatusCode,
    ) -> Option<(IntCounter, Histogram)> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let route = &series.by_path.get(path)?.iter().find(|(known, _)| *known == method)?.1;
        let counter = route.counter(status)?;
        match &route.histogram {
            Some(histogram) => Some((counter, histogram.clone())),
            None if opens_histogram(method, path, status) => None,
            None => Some((counter, self.other_durations.clone())),
        }
    }

    /// Returns the counter of a response; creates it within the limit.
    fn open_counter(
        &self,
        series: &mut Series,
        method: &'static str,
        path: &str,
        status: StatusCode,
    ) -> IntCounter {
        let Series { by_path, counter_text, .. } = series;
        let route = route_of(by_path, method, path);
        route.counter(status).unwrap_or_else(|| {
            let fits = reserve(counter_text, counter_text_of(method, path), MAX_COUNTER_TEXT);
            let path = if fits { path } else { OTHER };
            let counter = self.responses.with_label_values(&[method, path, status.as_str()]);
            route.counters.push((status, counter.clone()));
            counter
        })
    }

    /// Returns the histogram of a response; creates it within the limit.
    fn open_histogram(
        &self,
        series: &mut Series,
        method: &'static str,
        path: &str,
        status: StatusCode,
    ) -> Histogram {
        let Series { by_path, histogram_text, .. } = series;
        let route = route_of(by_path, method, path);
        if route.histogram.is_none() && opens_histogram(method, path, status) {
            let size = histogram_text_of(method, path);
            let fits = reserve(histogram_text, size, MAX_HISTOGRAM_TEXT);
            let own = || self.durations.with_label_values(&[method, path]);
            route.histogram = Some(if fits { own() } else { self.other_durations.clone() });
        }
        route.histogram.as_ref().unwrap_or(&self.other_durations).clone()
    }
}

impl Route {
    fn counter(&self, status: StatusCode) -> Option<IntCounter> {
        let known = self.counters.iter().find(|(known, _)| *known == status);
        known.map(|(_, counter)| counter.clone())
    }
}

fn route_of<'a>(
    by_path: &'a mut HashMap<String, Vec<(&'static str, Route)>>,
    method: &'static str,
    path: &str,
) -> &'a mut Route {
    let routes = by_path.entry(path.to_owned()).or_default();
    let index = routes.iter().position(|(known, _)| *known == method).unwrap_or_else(|| {
        routes.push((method, Route::default()));
        routes.len() - 1
    });
    &mut routes[index].1
}

/// Returns whether a response is one that gives its route a histogram.
fn opens_histogram(method: &str, path: &str, status: StatusCode) -> bool {
    let has_handler = matches!(method, "GET" | "POST" | "PUT" | "PATCH" | "DELETE");
    has_handler && path != UNMATCHED && !status.is_client_error()
}

/// Adds `size` to `used` and returns true, unless the sum exceeds `max`.
fn reserve(used: &mut usize, size: usize, max: usize) -> bool {
    let fits = *used + size <= max;
    if fits {
        *used += size;
    }
    fits
}

/// Characters of a sample's value.
const VALUE_TEXT: usize = 8;

/// Returns the size in bytes of the text of a counter.
fn counter_text_of(method: &str, path: &str) -> usize {
    r#"http_requests_total{method="",path="",status="200"} "#.len()
        + method.len()
        + path.len()
        + VALUE_TEXT
        + 1
}

/// Returns the size in bytes of the text of a histogram, at most.
fn histogram_text_of(method: &str, path: &str) -> usize {
    let line = r#"http_request_duration_seconds_bucket{method="",path="",le="0.0025"} "#.len()
        + method.len()
        + path.len()
        + VALUE_TEXT
        + 1;
    // Also `+Inf`, the sum and the count.
    (DURATION_BUCKETS.len() + 3) * line
}
