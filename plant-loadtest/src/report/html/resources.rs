//! The table of resources, with bars for those that have a limit.

use serde::Serialize;

use super::overview::cpus;
use crate::{
    outcome::{Outcome, ServiceSample},
    report::summary,
    sla::{Metric, Resource},
    verdict::Verdict,
};

/// A resource and its usage.
#[derive(Serialize)]
pub(super) struct ResourceRow {
    name: &'static str,
    value: String,
    bar: Option<Bar>,
}

/// The usage in percent of what there is.
#[derive(Serialize)]
struct Bar {
    percent: f64,
    /// What the bar shows, such as `12 % of 4 CPUs`.
    text: String,
    /// Place of the threshold, in percent.
    limit: Option<f64>,
}

/// Returns the usage of the resources.
pub(super) fn resources(outcome: &Outcome, verdict: &Verdict) -> Vec<ResourceRow> {
    let rows = summary::resources(outcome, verdict).into_iter();
    rows.map(|row| ResourceRow {
        bar: bar(outcome, verdict, row.name).filter(|_| row.value != "n/a"),
        name: row.name,
        value: row.value,
    })
    .collect()
}

fn bar(outcome: &Outcome, verdict: &Verdict, name: &str) -> Option<Bar> {
    let judged = outcome.judged_span();
    let max = |value: fn(&ServiceSample) -> Option<f64>| {
        let samples = outcome.samples.iter().filter(|sample| judged.contains(&sample.second));
        samples.filter_map(|sample| value(&sample.service)).reduce(f64::max)
    };
    let limit = |resource| {
        let is_limit = |metric: &Metric| *metric == Metric::Resource(resource);
        let judged = verdict.thresholds.iter().find(|judged| is_limit(&judged.threshold.metric))?;
        Some(judged.threshold.limit.value)
    };
    match name {
        "service CPU (100 % = one CPU)" => {
            let cpus = cpus(outcome)?;
            let percents = summary::service_cpu_percent(outcome).into_iter();
            let percents = percents.filter(|(second, _)| judged.contains(second));
            let percent = percents.map(|(_, percent)| percent).reduce(f64::max)? / cpus;
            let text = format!("max {percent:.0} % of {cpus:.0} CPUs");
            Some(Bar { percent: percent.min(100.0), text, limit: limit(Resource::Cpu) })
        }
        "service memory" => {
            let mib = max(|service| service.memory_bytes)? / 1_048_576.0;
            Some(Bar::of_limit(mib, limit(Resource::Memory)?, "MiB"))
        }
        "database pool" => {
            let size = max(|service| service.pool_max).filter(|size| *size > 0.0)?;
            let percent = max(|service| service.pool_in_use)? / size * 100.0;
            Some(Bar { percent, text: format!("max {percent:.0} %"), limit: None })
        }
        "database connections" => {
            let used = max(|service| service.database_connections)?;
            Some(Bar::of_limit(used, limit(Resource::DatabaseConnections)?, ""))
        }
        "Redis connections" => {
            let used = max(|service| service.redis_connections)?;
            Some(Bar::of_limit(used, limit(Resource::RedisConnections)?, ""))
        }
        "queue depth" => Some(Bar::of_limit(
            max(|service| service.queue_depth)?,
            limit(Resource::QueueDepth)?,
            "",
        )),
        "generator CPU (100 % = all CPUs)" => {
            let percent = verdict.generator.cpu? * 100.0;
            let text = format!("{percent:.0} % of {} CPUs", outcome.generator.cpus);
            Some(Bar { percent, text, limit: None })
        }
        _ => None,
    }
}

impl Bar {
    /// Returns a bar on which the limit is at two thirds.
    fn of_limit(used: f64, limit: f64, unit: &str) -> Self {
        let percent = used / limit.max(f64::MIN_POSITIVE) * 100.0;
        let text = format!("{percent:.0} % of the threshold {limit} {unit}").trim_end().to_owned();
        Self { percent: (percent / 1.5).min(100.0), text, limit: Some(100.0 / 1.5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn resources_with_a_limit_have_a_bar() {
        let mut outcome = example::outcome();
        for sample in &mut outcome.samples {
            sample.service.pool_max = Some(200.0);
            sample.service.pool_in_use = Some(2.0);
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let rows = resources(&outcome, &verdict);
        let percent = |name: &str| {
            let row = rows.iter().find(|row| row.name == name).unwrap();
            row.bar.as_ref().map(|bar| bar.percent)
        };
        assert_eq!(percent("database pool"), Some(1.0));
        assert_eq!(percent("service memory"), None, "no threshold");
        assert!(percent("generator CPU (100 % = all CPUs)").is_some());
    }

    #[test]
    fn a_bar_of_a_threshold_has_room_beyond_it() {
        let bar = Bar::of_limit(30.0, 20.0, "");
        assert_eq!((bar.percent, bar.text.as_str()), (100.0, "150 % of the threshold 20"));
        assert!((bar.limit.unwrap() - 66.67).abs() < 0.01);
    }
}
