//! Which metrics of the service a run can measure: those that the service exports, and those of its
//! process if that runs on this machine.

use crate::{
    metric_names::{MetricNames, Series},
    outcome::ServiceSample,
    service::Service,
    sla::{Metric, Resource, Unmeasured},
};

/// A metric that thresholds can limit.
struct Measured {
    metric: Metric,
    /// Its key in `[target.metrics]`.
    key: &'static str,
    /// Whether the operating system knows it of a process on this machine.
    of_process: bool,
    series: SeriesOf,
    value: ValueOf,
}

type SeriesOf = fn(&MetricNames) -> &Option<Series>;
type ValueOf = fn(&ServiceSample) -> Option<f64>;

/// Returns all metrics of the service that thresholds can limit, except the time to healthy.
fn all() -> Vec<Measured> {
    let exported = |metric, key, series: SeriesOf, value: ValueOf| Measured {
        metric,
        key,
        of_process: false,
        series,
        value,
    };
    let of_process = |metric, key, series: SeriesOf, value: ValueOf| Measured {
        metric,
        key,
        of_process: true,
        series,
        value,
    };
    vec![
        of_process(
            Metric::Resource(Resource::Cpu),
            "cpu_seconds",
            |names| &names.cpu_seconds,
            // Without a number of CPUs it has no percentage.
            |sample| sample.cpu_seconds.filter(|_| sample.cpus.is_some()),
        ),
        of_process(
            Metric::Resource(Resource::Memory),
            "memory_bytes",
            |names| &names.memory_bytes,
            |sample| sample.memory_bytes,
        ),
        of_process(
            Metric::Resource(Resource::CpuIncrease),
            "cpu_seconds",
            |names| &names.cpu_seconds,
            |sample| sample.cpu_seconds.filter(|_| sample.cpus.is_some()),
        ),
        of_process(
            Metric::Resource(Resource::MemoryIncrease),
            "memory_bytes",
            |names| &names.memory_bytes,
            |sample| sample.memory_bytes,
        ),
        of_process(
            Metric::Resource(Resource::OpenFiles),
            "open_files",
            |names| &names.open_files,
            |sample| sample.open_files,
        ),
        of_process(
            Metric::Restarts,
            "started_at",
            |names| &names.started_at,
            |sample| sample.started_at.or(sample.cpu_seconds).or(sample.logged_errors),
        ),
        exported(
            Metric::Resource(Resource::DatabaseConnections),
            "database_connections",
            |names| &names.database_connections,
            |sample| sample.database_connections,
        ),
        exported(
            Metric::Resource(Resource::RedisConnections),
            "redis_connections",
            |names| &names.redis_connections,
            |sample| sample.redis_connections,
        ),
        exported(
            Metric::Resource(Resource::QueueDepth),
            "queue_depth",
            |names| &names.queue_depth,
            |sample| sample.queue_depth,
        ),
        exported(
            Metric::QueueAfter,
            "queue_depth",
            |names| &names.queue_depth,
            |sample| sample.queue_depth,
        ),
        exported(
            Metric::Resource(Resource::LoggedErrors),
            "logged_errors",
            |names| &names.logged_errors,
            |sample| sample.logged_errors,
        ),
    ]
}

/// Returns the metrics that no run against `service` can measure, whatever it exports.
#[must_use]
pub fn never_measured(service: &Service) -> Vec<Unmeasured> {
    let mut unmeasured = Vec::new();
    if service.health.is_none() {
        let reason = "the profile has no health check (`health` of [target])".to_owned();
        unmeasured.push(Unmeasured { metric: Metric::SecondsToHealthy, reason });
    }
    for Measured { metric, key, series, .. } in all().into_iter().filter(|one| !one.of_process) {
        let reason = match service.metrics.as_ref().map(series) {
            Some(Some(_)) => continue,
            Some(None) => format!("set its series, `{key}` of [target.metrics]"),
            None => "the profile has no metrics (`metrics = false` of [target])".to_owned(),
        };
        unmeasured.push(Unmeasured { metric, reason });
    }
    unmeasured
}

/// Returns the metrics that are not in the first `sample` of `service` before a run, with what the
/// operating system knows.
#[must_use]
pub fn missing(service: &Service, sample: &ServiceSample) -> Vec<Unmeasured> {
    let missing = all().into_iter().filter(|one| (one.value)(sample).is_none());
    let missing = missing.map(|Measured { metric, key, of_process, series, .. }| {
        let exported = match service.metrics.as_ref() {
            None => "the profile has no metrics (`metrics = false` of [target])".to_owned(),
            Some(names) => match series(names) {
                Some(series) => match metric {
                    Metric::Resource(Resource::Cpu | Resource::CpuIncrease)
                        if sample.cpu_seconds.is_some() =>
                    {
                        "the number of CPUs (`cpus` of [target.metrics]) is not known".to_owned()
                    }
                    _ => format!(
                        "the response of GET {} has no number for the series `{series}`",
                        names.path
                    ),
                },
                None => format!("`{key}` of [target.metrics] is not set"),
            },
        };
        let local = ", and no process of the service is observed on this machine";
        let local = if of_process { local } else { "" };
        Unmeasured { metric, reason: format!("{exported}{local}") }
    });
    missing.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(unmeasured: &[Unmeasured]) -> Vec<String> {
        unmeasured.iter().map(|one| one.metric.notation()).collect()
    }

    #[test]
    fn a_metric_without_series_and_without_process_is_never_measured() {
        let mut service = Service::default();
        let none = [
            "database_connections",
            "redis_connections",
            "queue_depth",
            "queue_after",
            "logged_errors",
        ];
        assert_eq!(names(&never_measured(&service)), none);
        service.health = None;
        service.metrics.as_mut().unwrap().queue_depth = Some(Series::new("jobs", &[]));
        let found = never_measured(&service);
        assert_eq!(names(&found), ["healthy_after", none[0], none[1], none[4]]);
        assert!(found[1].reason.contains("`database_connections` of [target.metrics]"));
        service.metrics = None;
        let found = never_measured(&service);
        assert_eq!(found.len(), 6);
        assert!(
            found[3].to_string().contains("`queue_depth` cannot be measured: the profile has no")
        );
    }

    #[test]
    fn a_metric_that_the_first_sample_lacks_is_missing() {
        let mut service = Service::default();
        service.metrics.as_mut().unwrap().queue_depth = Some(Series::new("jobs", &[("a", "b")]));
        let mut sample = ServiceSample {
            cpu_seconds: Some(1.0),
            memory_bytes: Some(1.0),
            open_files: Some(1.0),
            database_connections: Some(1.0),
            redis_connections: Some(1.0),
            logged_errors: Some(0.0),
            ..ServiceSample::default()
        };
        let found = missing(&service, &sample);
        assert_eq!(names(&found), ["cpu", "cpu_increase", "queue_depth", "queue_after"]);
        assert!(found[0].reason.contains("the number of CPUs"), "{found:?}");
        assert!(
            found[2].reason.contains("GET /metrics has no number for the series `jobs{a=\"b\"}`")
        );
        (sample.cpus, sample.queue_depth) = (Some(2.0), Some(0.0));
        assert_eq!(missing(&service, &sample), []);
        let found = missing(&service, &ServiceSample::default());
        assert_eq!(found.len(), all().len());
        assert!(found[1].reason.contains("and no process of the service is observed"), "{found:?}");
    }
}
