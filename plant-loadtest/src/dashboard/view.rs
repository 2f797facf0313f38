//! The values of the page: how the thresholds stand, the endpoints, and the course of the run.

use std::cmp::Reverse;

use serde_json::{Value, json};

use crate::{
    outcome::{Outcome, ServiceSample},
    report::series::{self, Segment, Series, Windows},
    sla::{Metric, Resource, Subject},
    verdict::{Grade, JudgedThreshold, Verdict},
};

/// Number of kinds of failures listed; the report has all.
const MAX_FAILURES: usize = 5;

/// How a threshold stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Not measured yet, or only after the load.
    Open,
    /// The value meets the limit; decided only after the run.
    Meets,
    /// The run has ended, and too few requests decide it.
    Undecided,
    /// The value is beyond the limit, but too few requests decide it.
    Beyond,
    Violated(Grade),
}

impl Standing {
    fn of(judged: &JudgedThreshold, has_ended: bool) -> Self {
        let meets = judged.measured.map(|value| judged.threshold.is_met_by(value));
        match (judged.reported_grade(), meets) {
            (grade @ (Grade::Fail | Grade::Warning), _) => Self::Violated(grade),
            (Grade::Pass, _) => Self::Meets,
            (_, Some(false)) => Self::Beyond,
            _ if has_ended => Self::Undecided,
            (_, Some(true)) => Self::Meets,
            (_, None) => Self::Open,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Open => "–",
            Self::Meets => "met",
            Self::Undecided => "undecided",
            Self::Beyond => "beyond",
            Self::Violated(_) => "violated",
        }
    }

    fn tone(self) -> &'static str {
        match self {
            Self::Open | Self::Undecided => "none",
            Self::Meets => "good",
            Self::Beyond => "warn",
            Self::Violated(grade) => tone(grade),
        }
    }
}

/// Returns the color of a violation of this grade: `good`, `warn`, `bad` or `none`.
fn tone(grade: Grade) -> &'static str {
    match grade {
        Grade::Pass => "good",
        Grade::Warning => "warn",
        Grade::Fail => "bad",
        _ => "none",
    }
}

/// Returns the values of a run, in progress if it has `users`.
pub(super) fn render(outcome: &Outcome, verdict: &Verdict, users: Option<u32>) -> Value {
    let standing = |judged| Standing::of(judged, users.is_none());
    let mut thresholds: Vec<(Standing, &JudgedThreshold)> =
        verdict.thresholds.iter().map(|judged| (standing(judged), judged)).collect();
    thresholds.sort_by(|(standing, one), (other_standing, other)| {
        other_standing.cmp(standing).then(other.excess().total_cmp(&one.excess()))
    });
    let violated = thresholds.iter().filter(|(one, _)| matches!(one, Standing::Violated(_)));
    let stage = outcome.load.stages.iter().find(|stage| outcome.duration_s < stage.to_s.into());
    json!({
        "profile": outcome.load.profile,
        "host": outcome.target.host,
        "elapsed_s": outcome.duration_s,
        "total_s": outcome.planned_seconds(),
        "stage": stage.map(|stage| stage.name.as_str()),
        "users": users.unwrap_or_default(),
        "violated": violated.count(),
        "thresholds": thresholds.into_iter().map(threshold).collect::<Vec<Value>>(),
        "endpoints": endpoints(outcome),
        "failures": failures(outcome),
        "stages": outcome.load.stages.iter().map(|stage| json!({
            "name": stage.name, "from": stage.from_s, "to": stage.to_s,
        })).collect::<Vec<Value>>(),
        "charts": charts(outcome),
    })
}

fn threshold((standing, judged): (Standing, &JudgedThreshold)) -> Value {
    let threshold = &judged.threshold;
    let excess = judged.excess();
    json!({
        "subject": threshold.subject.to_string(),
        "metric": threshold.metric.to_string(),
        "limit": threshold.format_limit(),
        "measured": judged.measured.map(|value| threshold.metric.format(value)),
        "part": (excess.is_finite() && judged.measured.is_some()).then_some(excess),
        "state": standing.name(),
        "tone": standing.tone(),
    })
}

fn endpoints(outcome: &Outcome) -> Vec<Value> {
    let mut endpoints: Vec<_> = outcome
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.is_requested())
        .map(|endpoint| (endpoint.name.as_str(), endpoint.tally_all()))
        .collect();
    endpoints.sort_by_key(|(_, tally)| Reverse(tally.counts.errors()));
    let row = |(name, tally): (&str, crate::outcome::Tally)| {
        let at = |quantile| tally.latency.quantile_ms(quantile);
        json!({
            "name": name,
            "requests": tally.counts.sent,
            "errors": tally.counts.errors(),
            "p50": at(0.5),
            "p95": at(0.95),
            "p99": at(0.99),
        })
    };
    endpoints.into_iter().map(row).collect()
}

fn failures(outcome: &Outcome) -> Vec<Value> {
    let mut failures: Vec<_> = outcome.failures.iter().collect();
    failures.sort_by_key(|failure| Reverse(failure.count));
    let failures = failures.into_iter().take(MAX_FAILURES);
    let row = |failure: &crate::outcome::Failure| {
        json!({
            "count": failure.count,
            "endpoint": failure.endpoint,
            "message": format!("{}: {}", failure.kind.name(), failure.message),
        })
    };
    failures.map(row).collect()
}

fn charts(outcome: &Outcome) -> Vec<Value> {
    let windows = Windows::new(outcome);
    let of_service = |value: fn(&ServiceSample) -> Option<f64>| {
        series::sample_series(outcome, move |sample| value(&sample.service))
    };
    let users = series::sample_series(outcome, |sample| Some(f64::from(sample.users)));
    let charts = [
        ("Requests per second", "/s", windows.rate(), Some(Metric::Rate)),
        ("P95, all requests", "ms", windows.quantile(0.95), Some(Metric::P95)),
        ("Errors per second", "/s", windows.errors(), None),
        ("Users", "", users, None),
        (
            "Service CPU",
            "%",
            series::service_cpu_percent(outcome),
            Some(Metric::Resource(Resource::Cpu)),
        ),
        (
            "Service memory",
            "MiB",
            of_service(|service| service.memory_bytes).scaled(1.0 / 1_048_576.0),
            None,
        ),
        ("Queued jobs", "", of_service(|service| service.queue_depth), None),
    ];
    let shown = charts.into_iter().filter(|(.., series, _)| !series.is_empty());
    let chart = |(title, unit, series, metric): (&str, &str, Series, Option<Metric>)| {
        json!({
            "title": title,
            "unit": unit,
            "lines": series.segments().iter().map(points).collect::<Vec<_>>(),
            "limit": metric.and_then(|metric| limit(outcome, &metric)),
        })
    };
    shown.map(chart).collect()
}

/// Returns the points of a part of a line.
fn points(segment: &Segment) -> Vec<(f64, f64)> {
    match segment {
        Segment::Line(points) => points.clone(),
        Segment::Dot(second, value) => vec![(*second, *value)],
    }
}

/// Returns the limit of `metric` for all requests or the service, in the unit of the chart.
fn limit(outcome: &Outcome, metric: &Metric) -> Option<f64> {
    let of_all = |subject: &Subject| matches!(subject, Subject::AllRequests | Subject::Service);
    let thresholds = outcome.sla.thresholds.iter();
    let found = thresholds.filter(|one| one.metric == *metric && of_all(&one.subject));
    let found = found.filter(|one| one.users.contains(outcome.load.users));
    found.map(|threshold| threshold.limit.value).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Ended, report::example, sla::Limit};

    /// Returns the values of a run in progress whose thresholds were changed.
    fn view(change: impl FnOnce(&mut Outcome)) -> Value {
        let mut outcome = Outcome { ended: Ended::Killed, ..example::outcome() };
        change(&mut outcome);
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        render(&outcome, &verdict, Some(50))
    }

    fn states(view: &Value) -> Vec<&str> {
        let thresholds = view["thresholds"].as_array().unwrap().iter();
        thresholds.map(|row| row["state"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_threshold_is_met_by_its_value_while_the_run_lasts() {
        let view = view(|outcome| outcome.duration_s = 20.0);
        let states = states(&view);
        assert!(states.contains(&"met"), "{states:?}");
        let is_decided = |state: &&str| ["violated", "undecided"].contains(state);
        assert!(!states.iter().any(is_decided), "{states:?}");
        assert_eq!((view["violated"].as_u64(), view["users"].as_u64()), (Some(0), Some(50)));
        assert_eq!(view["stage"], "steady");
    }

    #[test]
    fn a_threshold_that_was_not_decided_is_not_met_after_the_run() {
        let mut outcome = Outcome { ended: Ended::Interrupted, ..example::outcome() };
        outcome.duration_s = 20.0;
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        let view = render(&outcome, &verdict, None);
        let undecided = states(&view).into_iter().filter(|state| *state == "undecided").count();
        assert_eq!(undecided, verdict.count(Grade::Insufficient), "{:?}", states(&view));
        assert!(undecided > 0);
    }

    #[test]
    fn violated_thresholds_come_first_the_furthest_beyond_the_limit_before_the_others() {
        let view = view(|outcome| {
            for (threshold, limit) in outcome.sla.thresholds.iter_mut().skip(3).zip([2.0, 0.1, 1.0])
            {
                threshold.limit = Limit::below(limit);
                threshold.fail_limit = Some(threshold.limit);
            }
        });
        let parts: Vec<f64> = view["thresholds"].as_array().unwrap()[..3]
            .iter()
            .map(|row| row["part"].as_f64().unwrap())
            .collect();
        assert!(parts.is_sorted_by(|one, other| one >= other), "{parts:?}");
        assert_eq!(states(&view)[..3], ["violated"; 3]);
        assert_eq!(view["violated"], 3);
    }

    #[test]
    fn the_usage_of_the_service_has_a_chart() {
        let view = view(|_| {});
        assert!(view["charts"].as_array().unwrap().iter().any(|chart| chart["unit"] == "%"));
    }
}
