//! The thresholds that charts show as lines.

use std::ops::Range;

use crate::{
    load::Stage,
    outcome::Outcome,
    report::chart::Limit,
    sla::{During, Metric, Resource, Subject},
    verdict::{JudgedThreshold, Verdict},
};

/// The percentiles of latency in charts, each with its color.
pub(super) const PERCENTILES: [(f64, &str, &str); 3] =
    [(0.50, "P50", "a"), (0.95, "P95", "b"), (0.99, "P99", "c")];

/// The thresholds of one subject, by chart.
#[derive(Debug, Default)]
pub(super) struct Limits {
    pub(super) latency: Vec<Limit>,
    pub(super) rate: Vec<Limit>,
    pub(super) errors: Vec<Limit>,
}

/// Returns the thresholds of all requests together.
pub(super) fn of_all(outcome: &Outcome, verdict: &Verdict) -> Limits {
    of(outcome, verdict, &Subject::AllRequests)
}

/// Returns the thresholds of an endpoint.
pub(super) fn of_endpoint(outcome: &Outcome, verdict: &Verdict, name: &str) -> Limits {
    of(outcome, verdict, &Subject::Endpoint(name.to_owned()))
}

fn of(outcome: &Outcome, verdict: &Verdict, subject: &Subject) -> Limits {
    let mut limits = Limits::default();
    for judged in &verdict.thresholds {
        if judged.threshold.subject != *subject {
            continue;
        }
        let metric = &judged.threshold.metric;
        let (list, color) = match metric {
            metric if metric.is_latency() => (&mut limits.latency, color(metric)),
            Metric::Rate => (&mut limits.rate, "a"),
            Metric::ErrorRate(_) | Metric::StatusShare(_) => (&mut limits.errors, "bad"),
            _ => continue,
        };
        add(list, limit(outcome, judged, color, 1.0));
    }
    limits
}

/// Returns the thresholds of a resource of the service. `factor` converts them to the unit of the chart.
pub(super) fn of_resource(
    outcome: &Outcome,
    verdict: &Verdict,
    resource: Resource,
    factor: f64,
    color: &str,
) -> Vec<Limit> {
    let mut limits = Vec::new();
    let metric = Metric::Resource(resource);
    for judged in &verdict.thresholds {
        if judged.threshold.metric == metric {
            add(&mut limits, limit(outcome, judged, color, factor));
        }
    }
    limits
}

/// Adds a limit unless the same line is there: warnings and failures may have one limit.
fn add(limits: &mut Vec<Limit>, limit: Limit) {
    if !limits.contains(&limit) {
        limits.push(limit);
    }
}

fn limit(outcome: &Outcome, judged: &JudgedThreshold, color: &str, factor: f64) -> Limit {
    let threshold = &judged.threshold;
    Limit {
        name: format!("threshold {} {}", threshold.metric, threshold.format_limit()),
        color: color.to_owned(),
        value: threshold.limit.value * factor,
        seconds: seconds(outcome, &threshold.during),
    }
}

/// Returns the color of the line of a percentile.
fn color(metric: &Metric) -> &'static str {
    let same = |(quantile, _, _): &&(f64, &str, &str)| metric.quantile() == Some(*quantile);
    PERCENTILES.iter().find(same).map_or("bad", |(_, _, color)| color)
}

/// Returns the seconds of the run in which a threshold applies; adjacent stages together.
fn seconds(outcome: &Outcome, during: &During) -> Vec<Range<u32>> {
    let applies = |stage: &&Stage| match during {
        During::Run => true,
        During::Judged => stage.judged,
        During::Stages(names) => names.contains(&stage.name),
    };
    let mut parts: Vec<Range<u32>> = Vec::new();
    for stage in outcome.load.stages.iter().filter(applies) {
        match parts.last_mut() {
            Some(last) if last.end == stage.from_s => last.end = stage.to_s,
            _ => parts.push(stage.seconds()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn an_endpoint_has_the_lines_of_its_thresholds_in_the_judged_stages() {
        let outcome = example::outcome();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let limits = of_endpoint(&outcome, &verdict, "GET /health").latency;
        let lines: Vec<(&str, &str, f64)> = limits
            .iter()
            .map(|limit| (limit.name.as_str(), limit.color.as_str(), limit.value))
            .collect();
        let expected = [
            ("threshold P50 < 50 ms", "a", 50.0),
            ("threshold P95 < 100 ms", "b", 100.0),
            ("threshold P99 < 200 ms", "c", 200.0),
        ];
        assert_eq!(lines, expected);
        assert!(
            limits.iter().all(|limit| limit.seconds == std::iter::once(5..35).collect::<Vec<_>>())
        );
        assert_eq!(of_all(&outcome, &verdict).errors[0].name, "threshold errors < 1 %");
    }

    #[test]
    fn a_threshold_applies_to_the_stages_that_it_names() {
        let mut outcome = example::outcome();
        let stage = outcome.load.stages[1].clone();
        let named =
            |name: &str, from_s, to_s| Stage { name: name.into(), from_s, to_s, ..stage.clone() };
        outcome.load.stages =
            vec![named("a", 0, 5), named("b", 5, 10), named("c", 10, 20), named("d", 20, 30)];
        let during =
            |names: &[&str]| During::Stages(names.iter().map(|&name| name.into()).collect());
        assert_eq!(seconds(&outcome, &during(&["a", "b", "d"])), [0..10, 20..30]);
        assert_eq!(seconds(&outcome, &During::Run).first(), Some(&(0..30)));
    }
}
