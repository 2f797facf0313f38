//! Thresholds that apply where an SLA says nothing: no endpoint may fail in half of its requests.

use crate::{
    failure::FailureKind,
    outcome::Outcome,
    sla::{During, Limit, Metric, Subject, Threshold, UserRange},
};

/// Limit of the error rate of one endpoint in percent, unless the SLA limits it.
const ERROR_LIMIT: Limit = Limit::below(50.0);

/// Returns a threshold for every endpoint whose errors none of `by_sla` limits: over the judged stages,
/// or over the whole run if it was requested only outside of them, such as a login in `on_start`. It
/// is not decidable for an endpoint that was never requested, and optional if that is chance: its task
/// was never picked. None at all if `by_sla` is empty: the run then gets no verdict.
pub(super) fn missing(outcome: &Outcome, by_sla: &[&Threshold]) -> Vec<Threshold> {
    if by_sla.is_empty() {
        return Vec::new();
    }
    let is_limited = |subject: &Subject| {
        by_sla.iter().any(|threshold| threshold.subject == *subject && replaces_default(threshold))
    };
    let thresholds = outcome.endpoints.iter().map(|endpoint| {
        let judged = || outcome.load.stages.iter().filter(|stage| stage.judged);
        let is_judged = judged().any(|stage| endpoint.counts_in(&stage.seconds()).finished() > 0);
        let is_requested = endpoint.is_requested();
        Threshold {
            subject: Subject::Endpoint(endpoint.name.clone()),
            group: "default".into(),
            metric: Metric::all_errors(),
            limit: ERROR_LIMIT,
            fail_limit: Some(ERROR_LIMIT),
            users: UserRange::ANY,
            during: if is_judged || !is_requested { During::Judged } else { During::Run },
            window_s: None,
            required: is_requested || endpoint.skipped > 0,
            abort_after_s: None,
        }
    });
    thresholds.filter(|threshold| !is_limited(&threshold.subject)).collect()
}

/// Returns whether a threshold of the SLA is stricter than the default one, whatever fails.
fn replaces_default(threshold: &Threshold) -> bool {
    let Metric::ErrorRate(kinds) = &threshold.metric else { return false };
    kinds.len() == FailureKind::ALL.len()
        && threshold.required
        && threshold.fail_limit.is_some_and(|limit| limit.value <= ERROR_LIMIT.value)
        && matches!(threshold.during, During::Judged | During::Run)
}
