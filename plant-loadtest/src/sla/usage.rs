//! Reads promises of throughput and resources.

use super::{
    Figure, Promise, Resource, Subject,
    read::{Known, When},
};
use crate::toml_source::{Source, Table};

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
