//! Thresholds that apply where an SLA says nothing: no endpoint may fail in half of its requests, no
//! accepted work may be doubled, and no action may fail.

use crate::{
    failure::FailureKind,
    outcome::{Completion, Outcome},
    sla::{During, Limit, Metric, Subject, Threshold, UserRange},
};

/// Limit of the error rate of one endpoint in percent, unless the SLA limits it.
const ERROR_LIMIT: Limit = Limit::below(50.0);

/// Limit of the number of doubled items of one kind of accepted work, unless the SLA limits it.
const DOUBLED_LIMIT: Limit = Limit::at_most(0.0);

/// Limit of the number of failed actions, unless the SLA limits it.
const FAILED_ACTIONS_LIMIT: Limit = Limit::at_most(0.0);

/// Returns a threshold for every endpoint whose errors none of `by_sla` limits: over the judged stages,
/// or over the whole run if it was requested only outside of them, such as a login in `on_start`. It
/// is not decidable for an endpoint that was never requested, and optional if that is chance: its task
/// was never picked. For every kind of accepted work there is one if none of `by_sla` limits the number of its
/// doubled items; it is optional, since they are not counted where the list could not be read. If the profile has
/// actions there is one for their failures. None at all
/// if `by_sla` is empty: the run then gets no verdict.
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
    let thresholds = thresholds.filter(|threshold| !is_limited(&threshold.subject));
    let doubled = outcome.completions.iter().filter_map(doubled);
    let is_limited = |default: &Threshold| {
        let mut of_sla = by_sla.iter().filter(|threshold| threshold.metric == Metric::Doubled);
        of_sla.any(|threshold| threshold.subject == default.subject)
    };
    let actions = failed_actions(outcome)
        .filter(|default| by_sla.iter().all(|threshold| threshold.metric != default.metric));
    thresholds.chain(doubled.filter(|default| !is_limited(default))).chain(actions).collect()
}

/// Returns the threshold for failed actions; `None` if none are planned.
fn failed_actions(outcome: &Outcome) -> Option<Threshold> {
    (!outcome.load.actions.is_empty()).then(|| Threshold {
        subject: Subject::Run,
        group: "default".into(),
        metric: Metric::FailedActions,
        limit: FAILED_ACTIONS_LIMIT,
        fail_limit: Some(FAILED_ACTIONS_LIMIT),
        users: UserRange::ANY,
        during: During::Run,
        window_s: None,
        required: true,
        abort_after_s: None,
    })
}

/// Returns the threshold for doubled items of one kind of work; `None` if none was accepted, or the outcome is
/// of a version that did not count them.
fn doubled(completion: &Completion) -> Option<Threshold> {
    completion.doubled.filter(|_| completion.accepted() > 0)?;
    Some(Threshold {
        subject: Subject::Work(completion.work.clone()),
        group: "default".into(),
        metric: Metric::Doubled,
        limit: DOUBLED_LIMIT,
        fail_limit: Some(DOUBLED_LIMIT),
        users: UserRange::ANY,
        during: During::Run,
        window_s: None,
        required: false,
        abort_after_s: None,
    })
}

/// Returns whether a threshold of the SLA is stricter than the default one, whatever fails.
fn replaces_default(threshold: &Threshold) -> bool {
    let Metric::ErrorRate(kinds) = &threshold.metric else { return false };
    kinds.len() == FailureKind::ALL.len()
        && threshold.required
        && threshold.fail_limit.is_some_and(|limit| limit.value <= ERROR_LIMIT.value)
        && matches!(threshold.during, During::Judged | During::Run)
}
