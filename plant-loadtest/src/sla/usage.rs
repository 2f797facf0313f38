//! Parses thresholds on accepted work, throughput and resources.

use super::{
    Metric, Resource, Subject, Threshold,
    scope::{AllowedNames, Scope, endpoint_or_all},
};
use crate::{
    failure::FailureKind,
    toml_source::{Source, Table},
};

/// Parses a `[[completion]]` table: thresholds on the completion time, the failures and the drain
/// time of accepted work. Every violation is a failure.
pub(super) fn completion<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Vec<Threshold> {
    let work = table.string(source, "work");
    let failures = Metric::ErrorRate(FailureKind::ALL.to_vec());
    let limits = [
        (Metric::P50, table.optional_number(source, "p50_ms")),
        (Metric::P95, table.optional_number(source, "p95_ms")),
        (Metric::P99, table.optional_number(source, "p99_ms")),
        (failures, table.optional_number(source, "failed_below_percent")),
        (Metric::Drain, table.optional_number(source, "done_within_s")),
    ];
    let scope = Scope::read(source, &mut table, allowed);
    if limits.iter().all(|(_, limit)| limit.is_none()) {
        source.add_error(
            table.span.clone(),
            "set at least one of `p50_ms`, `p95_ms`, `p99_ms`, `failed_below_percent`, \
             `done_within_s`",
        );
    }
    table.report_unknown_keys(source);
    let Some((work, at)) = work else { return Vec::new() };
    if !allowed.work.contains(&work.as_str()) {
        let submitted = allowed.work.join(", ");
        source.add_error(
            at,
            format!(
                "no user class of this profile submits `{work}` work; expected one of: {submitted}"
            ),
        );
    }
    let subject = Subject::Work(work);
    let limits = limits.into_iter().filter_map(|(metric, limit)| Some((metric, limit?)));
    limits
        .map(|(metric, limit)| {
            scope.clone().threshold(subject.clone(), "completion", metric, limit, Some(limit))
        })
        .collect()
}

/// Parses a `[[throughput]]` table: a minimum of successful responses per second, of all requests or
/// of one `endpoint`. Every violation is a failure, unless `fail_under` sets a lower limit for
/// failures.
pub(super) fn throughput<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Option<Threshold> {
    let at_least = table.number(source, "at_least");
    let fail_under = table.optional_number(source, "fail_under");
    let subject = endpoint_or_all(source, &mut table, allowed);
    let scope = Scope::read(source, &mut table, allowed);
    let at = table.span.clone();
    table.report_unknown_keys(source);
    let at_least = at_least?;
    if fail_under.is_some_and(|limit| limit > at_least) {
        source.add_error(at, "`fail_under` must not be greater than `at_least`");
    }
    let fail_limit = Some(fail_under.unwrap_or(at_least));
    Some(scope.threshold(subject, "throughput", Metric::Throughput, at_least, fail_limit))
}

/// Parses a `[[resource]]` table: a limit for a resource of the service. Every violation is a
/// failure, unless `fail_over` sets a higher limit for failures.
pub(super) fn resource<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Option<Threshold> {
    let name = table.string(source, "name");
    let below = table.number(source, "below");
    let fail_over = table.optional_number(source, "fail_over");
    let scope = Scope::read(source, &mut table, allowed);
    table.report_unknown_keys(source);
    let (name, at) = name?;
    let Some(resource) = Resource::ALL.iter().copied().find(|resource| resource.name() == name)
    else {
        let known =
            Resource::ALL.iter().map(|resource| resource.name()).collect::<Vec<_>>().join(", ");
        source.add_error(at, format!("unknown resource `{name}`; expected one of: {known}"));
        return None;
    };
    let below = below?;
    let fail_limit = Some(fail_over.unwrap_or(below));
    Some(scope.threshold(
        Subject::Service,
        "resources",
        Metric::Resource(resource),
        below,
        fail_limit,
    ))
}
