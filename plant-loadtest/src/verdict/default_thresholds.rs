//! Thresholds that apply where an SLA says nothing: no endpoint may fail in half of its requests.

use crate::{
    failure::FailureKind,
    outcome::Outcome,
    sla::{During, Limit, Metric, Subject, Threshold, UserRange},
};

/// Limit of the error rate of one endpoint in percent, unless the SLA limits it.
const ERROR_LIMIT: Limit = Limit::below(50.0);

/// Returns a threshold for every endpoint that was requested in the judged stages and whose errors
/// none of `by_sla` limits. None at all if `by_sla` is empty: the run then gets no verdict.
pub(super) fn missing(outcome: &Outcome, by_sla: &[&Threshold]) -> Vec<Threshold> {
    if by_sla.is_empty() {
        return Vec::new();
    }
    let is_limited = |subject: &Subject| {
        by_sla.iter().any(|threshold| threshold.subject == *subject && replaces_default(threshold))
    };
    let requested = outcome.endpoints.iter().filter(|endpoint| {
        let judged = outcome.load.stages.iter().filter(|stage| stage.judged);
        judged.map(|stage| endpoint.counts_in(&stage.seconds())).any(|counts| counts.finished() > 0)
    });
    requested
        .map(|endpoint| Subject::Endpoint(endpoint.name.clone()))
        .filter(|subject| !is_limited(subject))
        .map(|subject| Threshold {
            subject,
            group: "default".into(),
            metric: Metric::all_errors(),
            limit: ERROR_LIMIT,
            fail_limit: Some(ERROR_LIMIT),
            users: UserRange::ANY,
            during: During::Judged,
            window_s: None,
            required: true,
            abort_after_s: None,
        })
        .collect()
}

/// Returns whether a threshold of the SLA is stricter than the default one, whatever fails.
fn replaces_default(threshold: &Threshold) -> bool {
    let Metric::ErrorRate(kinds) = &threshold.metric else { return false };
    kinds.len() == FailureKind::ALL.len()
        && threshold.required
        && threshold.fail_limit.is_some_and(|limit| limit.value <= ERROR_LIMIT.value)
        && matches!(threshold.during, During::Judged | During::Run)
}
