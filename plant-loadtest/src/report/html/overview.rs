//! The charts of the whole run.

use super::{
    charts::{Chart, Charts, TimeChartInput, filled, line, short},
    limits,
};
use crate::{
    load::Model,
    outcome::{EndpointResults, Outcome, ServiceSample},
    report::{
        chart::{Limit, Line},
        series::{self, Windows},
    },
    sla::Resource,
};

/// One endpoint per color `e0` to `e7`.
const MAX_ENDPOINTS: usize = 8;

const MIB: f64 = 1_048_576.0;

/// Returns every chart that has values, in the order of the page.
pub(super) fn charts(charts: &mut Charts<'_>) -> Vec<Chart> {
    let windows = Windows::new(charts.outcome);
    let before = charts.baseline.map(Windows::new);
    let before = before.as_ref();
    let limits = limits::of_all(charts.outcome, charts.verdict);
    let latency = charts.outcome.tally_judged().latency;
    let latency_before = charts.baseline.map(|baseline| baseline.tally_judged().latency);
    let mut all = vec![
        charts.latency("Latency", "large", &windows, before, limits.latency),
        charts.rate("large", &windows, before, limits.rate),
        charts.errors("full", &windows, limits.errors),
        by_endpoint(charts),
        charts.heat_map("large", &windows),
        charts.histogram("large", &latency, latency_before.as_ref()),
    ];
    for input in resources(charts) {
        all.push(charts.over_time(input));
    }
    all.into_iter().flatten().collect()
}

/// Draws the P95 of the slowest endpoints.
fn by_endpoint(charts: &mut Charts<'_>) -> Option<Chart> {
    let outcome = charts.outcome;
    let mut endpoints: Vec<(f64, &EndpointResults)> = outcome
        .endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint.tally_all().latency.quantile_ms(0.95)?, endpoint)))
        .collect();
    endpoints.sort_by(|left, right| right.0.total_cmp(&left.0));
    let all = endpoints.len();
    endpoints.truncate(MAX_ENDPOINTS);
    let (mut lines, mut all_limits): (Vec<Line>, Vec<Limit>) = (Vec::new(), Vec::new());
    for (index, (_, endpoint)) in endpoints.into_iter().enumerate() {
        let color = format!("e{index}");
        let series = Windows::for_endpoint(outcome, endpoint).quantile(0.95);
        lines.push(line(&endpoint.name, &color, series));
        let limits =
            limits::of_endpoint(outcome, charts.verdict, &endpoint.name).latency.into_iter();
        let p95 = limits.filter(|limit| limit.color == "b");
        all_limits.extend(p95.map(|limit| Limit { color: color.clone(), ..limit }));
    }
    let has_limits = !all_limits.is_empty();
    let mut note = match all > MAX_ENDPOINTS {
        true => format!(
            "The slowest {MAX_ENDPOINTS} of {all}; all are below, each with its own charts."
        ),
        false => String::new(),
    };
    if has_limits {
        note = format!("{note} Dotted: the threshold of the endpoint in this color.");
    }
    let mut chart = charts.over_time(TimeChartInput {
        title: "P95 by endpoint".to_owned(),
        unit: "ms",
        size: "full",
        lines,
        limits: all_limits,
        logarithmic: true,
        note: note.trim_start().to_owned(),
    })?;
    // The colors are those of the lines.
    chart.legend.retain(|item| item.kind != "limit");
    Some(chart)
}

/// Returns the charts of users, service and load generator.
fn resources(charts: &Charts<'_>) -> Vec<TimeChartInput> {
    let outcome = charts.outcome;
    let service = |value: fn(&ServiceSample) -> Option<f64>| {
        series::sample_series(outcome, |sample| value(&sample.service))
    };
    let users = series::sample_series(outcome, |sample| Some(f64::from(sample.users)));
    let users_title = match outcome.load.model {
        Model::Closed => "Users",
        Model::Open => "Concurrent users",
    };
    let limits = |resource, factor, color| {
        limits::of_resource(outcome, charts.verdict, resource, factor, color)
    };
    let generator_cpu = series::sample_series(outcome, |sample| sample.generator_cpu).scaled(100.0);
    let cpu = series::service_cpu_percent(outcome);
    // The limit is in percent of all CPUs.
    let cpu_limits = cpus(outcome).map(|cpus| limits(Resource::Cpu, cpus, "a")).unwrap_or_default();
    let memory = service(|service| service.memory_bytes).scaled(1.0 / MIB);
    let pool_max = service(|service| service.pool_max);
    let mut pool = vec![filled("in use", "a", service(|service| service.pool_in_use))];
    let pool_limits = pool_limit(outcome, pool_max.max());
    if pool[0].series.is_empty() {
        pool.clear();
    }
    let connections = vec![
        line("PostgreSQL", "a", service(|service| service.database_connections)),
        line("Redis", "b", service(|service| service.redis_connections)),
    ];
    let mut connection_limits = limits(Resource::DatabaseConnections, 1.0, "a");
    connection_limits.extend(limits(Resource::RedisConnections, 1.0, "b"));
    let input = |title: &str, unit, lines, limits| TimeChartInput {
        title: title.to_owned(),
        unit,
        size: "small",
        lines,
        limits,
        logarithmic: false,
        note: String::new(),
    };
    let one = |name, color, series| vec![filled(name, color, series)];
    vec![
        input(users_title, "", one("users", "a", users), Vec::new()),
        input("Service CPU", "%", one("of one CPU", "a", cpu), cpu_limits),
        input(
            "Service memory",
            "MiB",
            one("resident", "a", memory),
            limits(Resource::Memory, 1.0, "a"),
        ),
        input("Database pool", "", pool, pool_limits),
        input(
            "Queue depth",
            "",
            one("waiting", "a", service(|service| service.queue_depth)),
            limits(Resource::QueueDepth, 1.0, "a"),
        ),
        input(
            "Requests in progress",
            "",
            one("in progress", "a", service(|service| service.requests_in_progress)),
            Vec::new(),
        ),
        input("Connections", "", connections, connection_limits),
        input(
            "Open files",
            "",
            one("open", "a", service(|service| service.open_files)),
            limits(Resource::OpenFiles, 1.0, "a"),
        ),
        input("Generator CPU", "%", one("of all CPUs", "c", generator_cpu), Vec::new()),
    ]
}

/// Returns the number of CPUs of the service's machine.
pub(super) fn cpus(outcome: &Outcome) -> Option<f64> {
    outcome.samples.iter().rev().find_map(|sample| sample.service.cpus)
}

/// The size of the pool is a limit, too.
fn pool_limit(outcome: &Outcome, size: f64) -> Vec<Limit> {
    let seconds = std::iter::once(0..outcome.planned_seconds()).collect();
    let limit = Limit {
        name: format!("pool size {}", short(size)),
        color: "bad".into(),
        value: size,
        seconds,
    };
    Some(limit).filter(|_| size > 0.0).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::example, verdict::Verdict};

    fn drawn(outcome: &Outcome) -> Vec<Chart> {
        let verdict = Verdict::judge(outcome, &outcome.sla);
        charts(&mut Charts::new(outcome, &verdict, None))
    }

    #[test]
    fn the_slowest_endpoints_are_drawn_however_few_requests_they_have() {
        let mut outcome = example::outcome();
        let slow = &mut outcome.endpoints[3];
        slow.cells.truncate(1);
        slow.cells[0].latency = crate::distribution::Distribution::default();
        slow.cells[0].latency.record(std::time::Duration::from_secs(9));
        let name = slow.name.clone();
        let charts = drawn(&outcome);
        let chart = charts.iter().find(|chart| chart.title == "P95 by endpoint").unwrap();
        let legend = serde_json::to_value(&chart.legend).unwrap();
        assert_eq!(legend[0]["name"], name.as_str(), "{legend}");
        assert!(chart.plot.contains(r#"<g class="e0"><path class="dots""#), "{}", chart.plot);
    }

    #[test]
    fn the_thresholds_of_endpoints_are_drawn_in_their_colors() {
        let charts = drawn(&example::outcome());
        let chart = charts.iter().find(|chart| chart.title == "P95 by endpoint").unwrap();
        assert!(chart.plot.contains(r#"class="limit e0""#), "{}", chart.plot);
        assert!(chart.note.starts_with("Dotted:"), "{}", chart.note);
    }

    #[test]
    fn the_limit_of_cpu_is_drawn_in_percent_of_one_cpu() {
        let mut outcome = example::outcome();
        let limit = crate::sla::Limit::below(50.0);
        let cpu = crate::sla::Threshold {
            subject: crate::sla::Subject::Service,
            metric: crate::sla::Metric::Resource(Resource::Cpu),
            limit,
            ..outcome.sla.thresholds[0].clone()
        };
        outcome.sla.thresholds.push(cpu);
        for sample in &mut outcome.samples {
            sample.service.cpus = Some(4.0);
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let charts = Charts::new(&outcome, &verdict, None);
        let inputs = resources(&charts);
        let chart = inputs.iter().find(|input| input.title == "Service CPU").unwrap();
        assert_eq!(chart.limits[0].value, 200.0);
    }
}
