//! Waiting for a free virtual user: time that counts in the latency of a request but that its
//! endpoint did not cause.

use std::fmt;

use super::{Grade, JudgedThreshold};
use crate::{
    distribution::Distribution,
    load::Model,
    outcome::{EndpointResults, Outcome},
    sla::{Metric, Subject, format_ms},
};

/// Fraction of the users' busy time that the endpoints named as holding the users account for.
const HELD_FRACTION: f64 = 0.5;

/// Why a latency threshold was violated although the endpoint itself was fast enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// The same metric of the service time, without the wait for a free user, in milliseconds.
    pub service_ms: f64,
    /// The endpoints whose requests kept the users busy, the longest first.
    pub held_by: Vec<String>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "only {} of it in the service, the rest waiting for a free user; the users were held by {}",
            format_ms(self.service_ms),
            self.held_by.join(", ")
        )
    }
}

/// Returns the explanation of a threshold whose violation consists of waiting for a free user; `None`
/// if the service time of its endpoint violates it too. Service times are those of the whole run.
pub(super) fn explain(outcome: &Outcome, judged: &JudgedThreshold) -> Option<Waiting> {
    let is_violated = matches!(judged.reported_grade(), Grade::Warning | Grade::Fail);
    if outcome.load.model != Model::Open || !is_violated {
        return None;
    }
    let Subject::Endpoint(name) = &judged.threshold.subject else { return None };
    let endpoint = outcome.endpoints.iter().find(|endpoint| endpoint.name == *name)?;
    let service_ms = match &judged.threshold.metric {
        Metric::Mean => endpoint.service_time.mean_ms(),
        metric => metric.quantile().and_then(|at| endpoint.service_time.quantile_ms(at)),
    }?;
    let held_by = holders(outcome);
    let holds_users = held_by.contains(name);
    (judged.threshold.is_met_by(service_ms) && !holds_users)
        .then_some(Waiting { service_ms, held_by })
}

/// Returns the endpoints that together account for most of the time in which users were busy.
fn holders(outcome: &Outcome) -> Vec<String> {
    let timeout_ms = outcome.load.timeout_s * 1000.0;
    let mut busy: Vec<(f64, &str)> = outcome
        .endpoints
        .iter()
        .map(|endpoint| (busy_ms(endpoint, timeout_ms), endpoint.name.as_str()))
        .collect();
    busy.sort_by(|one, other| other.0.total_cmp(&one.0));
    let total: f64 = busy.iter().map(|(ms, _)| ms).sum();
    let mut held = 0.0;
    let holders = busy.into_iter().take_while(|(ms, _)| {
        let counts = held < total * HELD_FRACTION;
        held += ms;
        counts
    });
    holders.map(|(_, name)| name.to_owned()).collect()
}

/// Returns how long an endpoint kept users busy: successes, failures and timeouts.
#[expect(clippy::cast_precision_loss, reason = "requests of a run stay below 2^53")]
fn busy_ms(endpoint: &EndpointResults, timeout_ms: f64) -> f64 {
    let total = |times: &Distribution| times.mean_ms().unwrap_or_default() * times.len() as f64;
    let timed_out = endpoint.counts_in(&(0..u32::MAX)).timed_out as f64 * timeout_ms;
    // The time to the first byte is that of all responses, failures included.
    total(&endpoint.service_time).max(total(&endpoint.first_byte) + timed_out)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{distribution::Distribution, report::example, verdict::Verdict};

    fn of(millis: u64, requests: usize) -> Distribution {
        let mut latency = Distribution::default();
        for _ in 0..requests {
            latency.record(Duration::from_millis(millis));
        }
        latency
    }

    /// Returns an open run in which `GET /api/v1/agents` takes 9 s and all others wait for it.
    fn held() -> Outcome {
        let mut outcome = example::outcome();
        outcome.load.model = Model::Open;
        for endpoint in &mut outcome.endpoints {
            let holds = endpoint.name == "GET /api/v1/agents";
            endpoint.service_time = of(if holds { 9000 } else { 2 }, 100);
            for cell in &mut endpoint.cells {
                cell.latency = of(9000, 30);
            }
        }
        outcome
    }

    #[test]
    fn the_blame_goes_to_the_endpoint_that_held_the_users() {
        let outcome = held();
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert_eq!(verdict.grade, Grade::Fail);
        let reason = &verdict.reason;
        assert!(reason.starts_with("GET /api/v1/agents: P95 9003 ms"), "{reason}");
        assert!(reason.contains("only by waiting for a free user"), "{reason}");
        assert!(!reason.contains("/health"), "{reason}");
        let health = |judged: &&JudgedThreshold| {
            judged.threshold.subject == Subject::Endpoint("GET /health".into())
                && judged.threshold.metric == Metric::P95
        };
        let judged = verdict.thresholds.iter().find(health).unwrap();
        let waiting = judged.waiting.as_ref().unwrap();
        assert_eq!(waiting.held_by, ["GET /api/v1/agents"]);
        assert!(judged.summary().contains("waiting for a free user"), "{}", judged.summary());
    }

    #[test]
    fn failures_hold_users_too() {
        let mut outcome = held();
        let endpoint = outcome.endpoints.iter_mut().find(|one| one.name == "GET /health").unwrap();
        // It answers 503 after 20 s, which no service time shows.
        (endpoint.service_time, endpoint.first_byte) = (Distribution::default(), of(20_000, 100));
        assert_eq!(holders(&outcome), ["GET /health"]);
    }

    #[test]
    fn timeouts_hold_users_for_the_whole_timeout() {
        let mut outcome = held();
        let endpoint = outcome.endpoints.iter_mut().find(|one| one.name == "GET /health").unwrap();
        (endpoint.service_time, endpoint.first_byte) = Default::default();
        endpoint.cells[10].counts.timed_out = 100;
        assert_eq!(outcome.load.timeout_s.round(), 30.0);
        assert_eq!(holders(&outcome), ["GET /health"]);
    }

    #[test]
    fn many_requests_hold_users_longer_than_a_few_slow_ones() {
        let mut outcome = held();
        for endpoint in &mut outcome.endpoints {
            endpoint.first_byte = Distribution::default();
            endpoint.service_time = match endpoint.name.as_str() {
                "GET /api/v1/agents" => of(9_000, 10),
                "GET /health" => of(1_000, 1_000),
                _ => Distribution::default(),
            };
        }
        assert_eq!(holders(&outcome), ["GET /health"]);
    }

    #[test]
    fn only_violations_in_an_open_run_are_explained_by_waiting() {
        let waiting = |change: fn(&mut Outcome)| {
            let mut outcome = held();
            change(&mut outcome);
            let verdict = Verdict::judge(&outcome, &outcome.sla);
            verdict.thresholds.iter().any(|judged| judged.waiting.is_some())
        };
        assert!(waiting(|_| {}));
        assert!(!waiting(|outcome| outcome.load.model = Model::Closed));
        assert!(!waiting(|outcome| {
            for cell in outcome.endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.cells) {
                cell.latency = of(2, 30);
            }
        }));
    }

    #[test]
    fn an_endpoint_that_is_slow_itself_is_not_excused() {
        let mut outcome = held();
        for endpoint in &mut outcome.endpoints {
            endpoint.service_time = of(9000, 100);
        }
        let verdict = Verdict::judge(&outcome, &outcome.sla);
        assert!(verdict.thresholds.iter().all(|judged| judged.waiting.is_none()));
    }
}
