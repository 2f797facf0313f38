//! Reads promises of throughput, resources and accepted work.

use super::{
    Figure, Promise, Resource, Subject,
    read::{Known, When},
};
use crate::{
    outcome::FailureKind,
    toml_source::{Source, Table},
};

/// `[[completion]]`: from acceptance to the end, how much may fail, and how soon after the load the
/// last of it is done. Every miss is a failure.
pub(super) fn completion<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    known: &Known<'_>,
) -> Vec<Promise> {
    let work = table.text(source, "work");
    let failures = Figure::ErrorRate(FailureKind::ALL.to_vec());
    let targets = [
        (Figure::P50, table.optional_number(source, "p50_ms")),
        (Figure::P95, table.optional_number(source, "p95_ms")),
        (Figure::P99, table.optional_number(source, "p99_ms")),
        (failures, table.optional_number(source, "failed_below_percent")),
        (Figure::Drain, table.optional_number(source, "done_within_s")),
    ];
    let when = When::read(source, &mut table, known);
    if targets.iter().all(|(_, target)| target.is_none()) {
        source.mistake(
            table.span.clone(),
            "give at least one of `p50_ms`, `p95_ms`, `p99_ms`, `failed_below_percent`, \
             `done_within_s`",
        );
    }
    table.finish(source);
    let Some((work, at)) = work else { return Vec::new() };
    if !known.work.contains(&work.as_str()) {
        let known = known.work.join(", ");
        source.mistake(
            at,
            format!("no user class of this profile has `{work}` accepted; there is {known}"),
        );
    }
    let subject = Subject::Work(work);
    let promised = targets.into_iter().filter_map(|(figure, target)| Some((figure, target?)));
    promised
        .map(|(figure, below)| {
            when.clone().promise(subject.clone(), "completion", figure, below, Some(below))
        })
        .collect()
}

/// `[[throughput]]`: answered rightly, requests a second at least. Every miss is a failure unless
/// `fail_under` says from where on.
pub(super) fn throughput<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    known: &Known<'_>,
) -> Option<Promise> {
    let at_least = table.number(source, "at_least");
    let fail_under = table.optional_number(source, "fail_under");
    let when = When::read(source, &mut table, known);
    let at = table.span.clone();
    table.finish(source);
    let at_least = at_least?;
    if fail_under.is_some_and(|limit| limit > at_least) {
        source.mistake(at, "`fail_under` is more than `at_least`");
    }
    let fail = Some(fail_under.unwrap_or(at_least));
    Some(when.promise(Subject::AllRequests, "throughput", Figure::Throughput, at_least, fail))
}

/// `[[resource]]`: what the service may use. Every miss is a failure unless `fail_over` says from
/// where on.
pub(super) fn resource<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    known: &Known<'_>,
) -> Option<Promise> {
    let name = table.text(source, "name");
    let below = table.number(source, "below");
    let fail_over = table.optional_number(source, "fail_over");
    let when = When::read(source, &mut table, known);
    table.finish(source);
    let (name, at) = name?;
    let Some(resource) = Resource::ALL.into_iter().find(|resource| resource.name() == name) else {
        let known = Resource::ALL.map(Resource::name).join(", ");
        source.mistake(at, format!("there is no resource `{name}`; there are {known}"));
        return None;
    };
    let below = below?;
    let fail = Some(fail_over.unwrap_or(below));
    Some(when.promise(Subject::Service, "resources", Figure::Resource(resource), below, fail))
}
