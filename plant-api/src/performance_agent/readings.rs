//! From two readings of a target to a snapshot.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::blocking::compute;
use super::exposition::histogram::{Histogram, MAX_BUCKETS};
use super::exposition::interval::Interval;
use super::exposition::selector::Selector;
use super::rules::{CustomMetric, MetricNames, RuleSet};
use super::snapshot::{
    CacheMetrics, PoolMetrics, ProcessMetrics, Quantiles, QueueMetrics, RouteMetrics, Snapshot,
};
use crate::error::Result;

/// Maximum number of routes in a snapshot.
const MAX_ROUTES: usize = 200;
/// Maximum number of queues in a snapshot.
const MAX_QUEUES: usize = 100;
/// Maximum length of a name that the target has chosen, in characters.
const MAX_NAME_CHARS: usize = 200;

/// Returns the snapshot of two readings, without metrics of the database.
///
/// # Errors
/// As [`compute`].
pub async fn snapshot(
    identity: (Uuid, DateTime<Utc>),
    target: String,
    rules: &RuleSet,
    interval: Interval,
) -> Result<Snapshot> {
    let rules = rules.clone();
    compute(move || snapshot_of(identity, &target, &rules, &interval)).await
}

fn snapshot_of(
    (id, collected_at): (Uuid, DateTime<Utc>),
    target: &str,
    rules: &RuleSet,
    interval: &Interval,
) -> Snapshot {
    let names = &rules.metric_names;
    let mut notes = Vec::new();
    let mut routes = routes(interval, names, &mut notes);
    let (requests, errors) = routes.iter().fold((0_u64, 0_u64), |(requests, errors), route| {
        (requests.saturating_add(route.requests), errors.saturating_add(route.errors))
    });
    if routes.len() > MAX_ROUTES {
        notes.push(format!("the {MAX_ROUTES} busiest of {} routes are listed", routes.len()));
        routes.truncate(MAX_ROUTES);
    }
    let mut queues = queues(interval, names);
    if queues.len() > MAX_QUEUES {
        notes.push(format!("the {MAX_QUEUES} deepest of {} queues are listed", queues.len()));
        queues.truncate(MAX_QUEUES);
    }
    let is_counted = names.requests.as_ref().is_some_and(|name| interval.increase(name).is_some());
    Snapshot {
        id,
        target: target.to_owned(),
        rules: rules.name.clone(),
        collected_at,
        interval_seconds: interval.seconds,
        request_rate: is_counted.then(|| requests as f64 / interval.seconds),
        error_rate: ratio(errors, requests),
        routes,
        process: process(interval, names),
        pool: pool(interval, names, &mut notes),
        cache: cache(interval, names),
        queues,
        jobs_running: gauge(interval, names.jobs_running.as_ref()),
        custom: custom(interval, &rules.custom_metrics),
        database: None,
        notes,
    }
}

fn routes(interval: &Interval, names: &MetricNames, notes: &mut Vec<String>) -> Vec<RouteMetrics> {
    let Some(counter) = &names.requests else { return Vec::new() };
    let labels = &names.route_labels;
    let mut with_status = labels.clone();
    with_status.extend(names.status_label.clone());
    let mut counts: BTreeMap<Vec<String>, (f64, f64)> = BTreeMap::new();
    for (mut values, increase) in interval.increases_by(counter, &with_status) {
        let status = names.status_label.as_ref().and_then(|_| values.pop());
        let (requests, errors) = counts.entry(values).or_default();
        *requests += increase;
        if status.is_some_and(|status| status.starts_with('5')) {
            *errors += increase;
        }
    }
    let histograms = histograms(interval, names.duration.as_ref(), labels, notes);
    let mut routes: Vec<_> = counts
        .into_iter()
        .filter(|(_, (requests, _))| *requests >= 1.0 && requests.is_finite())
        .map(|(values, (requests, errors))| RouteMetrics {
            latency: histograms.get(&values).map(quantiles).unwrap_or_default(),
            route: shortened(&values.join(" ")),
            requests: count(requests),
            errors: count(errors),
        })
        .collect();
    routes.sort_by_key(|route| std::cmp::Reverse(route.requests));
    routes
}

fn process(interval: &Interval, names: &MetricNames) -> ProcessMetrics {
    let cpu_seconds = names.cpu_seconds.as_ref();
    ProcessMetrics {
        cpu_seconds_per_second: cpu_seconds.and_then(|name| interval.rate(name)),
        available_cpus: gauge(interval, names.available_cpus.as_ref()),
        memory_bytes: gauge(interval, names.memory_bytes.as_ref()),
        start_time: gauge(interval, names.start_time.as_ref()),
        id: None,
    }
}

fn pool(interval: &Interval, names: &MetricNames, notes: &mut Vec<String>) -> PoolMetrics {
    let in_use = names.pool_in_use.as_ref();
    let before = in_use.and_then(|name| name.sum(&interval.before));
    let after = gauge(interval, in_use);
    let mut waits = histograms(interval, names.pool_wait.as_ref(), &[], notes);
    let wait = waits.remove(&Vec::new()).unwrap_or_default();
    PoolMetrics {
        in_use: before.zip(after).map(|(before, after)| before.min(after)),
        max: gauge(interval, names.pool_max.as_ref()),
        acquired: count(wait.count()),
        wait: quantiles(&wait),
    }
}

fn cache(interval: &Interval, names: &MetricNames) -> CacheMetrics {
    let increase = |name: &Option<Selector>| {
        name.as_ref().and_then(|name| interval.increase(name)).map_or(0, count)
    };
    let (reads, hits) = (increase(&names.cache_reads), increase(&names.cache_hits));
    CacheMetrics { reads, hits, hit_ratio: ratio(hits, reads) }
}

fn queues(interval: &Interval, names: &MetricNames) -> Vec<QueueMetrics> {
    let (Some(depth), Some(label)) = (&names.queue_depth, &names.queue_label) else {
        return Vec::new();
    };
    let series = interval.after.series(&depth.name);
    let mut queues: Vec<_> = series
        .filter(|(labels, value)| depth.matches(labels) && value.is_finite())
        .map(|(labels, value)| {
            let before = interval.before.value(&depth.name, labels);
            QueueMetrics {
                queue: shortened(labels.get(label).map_or("", String::as_str)),
                depth_before: before.filter(|before| before.is_finite()).unwrap_or(0.0),
                depth: value,
            }
        })
        .collect();
    queues.sort_by(|a, b| b.depth.total_cmp(&a.depth).then_with(|| a.queue.cmp(&b.queue)));
    queues
}

fn custom(interval: &Interval, metrics: &BTreeMap<String, CustomMetric>) -> BTreeMap<String, f64> {
    let value = |metric: &CustomMetric| match metric {
        CustomMetric::Gauge(selector) => gauge(interval, Some(selector)),
        CustomMetric::Rate(selector) => interval.rate(selector),
    };
    let metrics = metrics.iter();
    metrics.filter_map(|(name, metric)| Some((name.clone(), value(metric)?))).collect()
}

fn gauge(interval: &Interval, name: Option<&Selector>) -> Option<f64> {
    name?.sum(&interval.after)
}

/// Returns the histograms of a metric by the values of these labels. Appends to `notes` that some have
/// too many buckets.
fn histograms(
    interval: &Interval,
    name: Option<&Selector>,
    labels: &[String],
    notes: &mut Vec<String>,
) -> BTreeMap<Vec<String>, Histogram> {
    let Some(selector) = name else { return BTreeMap::new() };
    let found = interval.histograms_by(selector, labels);
    if found.too_large > 0 {
        notes.push(format!(
            "{} histograms of `{}` are left out: they have more than {MAX_BUCKETS} buckets",
            found.too_large, selector.name
        ));
    }
    found.by_labels
}

fn quantiles(seconds: &Histogram) -> Quantiles {
    let milliseconds = |q| {
        let milliseconds = seconds.quantile(q).map(|seconds| seconds * 1000.0);
        milliseconds.filter(|milliseconds| milliseconds.is_finite())
    };
    Quantiles { p50_ms: milliseconds(0.5), p95_ms: milliseconds(0.95), p99_ms: milliseconds(0.99) }
}

/// Converts the increase of a counter; what is no natural number is rounded.
fn count(increase: f64) -> u64 {
    increase.round().max(0.0) as u64
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Shortens a name that the target has chosen, and replaces its control characters: the database does
/// not store all of them.
fn shortened(name: &str) -> String {
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    name.chars().take(MAX_NAME_CHARS).map(printable).collect()
}
