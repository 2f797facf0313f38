//! Where a threshold applies: the names that an SLA file may contain, and the users, stages and
//! windows of a threshold.

use std::ops::Range;

use super::{During, Metric, Subject, Threshold, UserRange};
use crate::{
    duration,
    toml_source::{Source, Table},
};

/// Names that an SLA file may contain: those of the run that it judges.
#[derive(Debug)]
pub struct AllowedNames<'n> {
    /// Endpoints that the user classes request.
    pub endpoints: Vec<&'n str>,
    /// Kinds of accepted work that the user classes create.
    pub work: Vec<&'n str>,
    /// Stages of the load.
    pub stages: Vec<&'n str>,
}

/// The users, stages and windows to which a threshold applies.
#[derive(Clone)]
pub(super) struct Scope {
    pub users: UserRange,
    pub during: During,
    pub window_s: Option<u32>,
    pub required: bool,
}

impl Scope {
    /// Reads `users_from`, `users_to`, `during`, `every` and `required`.
    pub(super) fn read<'a>(
        source: &mut Source<'a>,
        table: &mut Table<'a>,
        allowed: &AllowedNames<'_>,
    ) -> Self {
        let users = users(source, table);
        Self {
            users,
            during: during(source, table, allowed),
            window_s: window_s(source, table),
            required: table.optional_bool(source, "required").unwrap_or(true),
        }
    }

    /// Creates a threshold with this scope.
    pub(super) fn threshold(
        self,
        subject: Subject,
        group: &str,
        metric: Metric,
        limit: f64,
        fail_limit: Option<f64>,
    ) -> Threshold {
        let Self { users, during, window_s, required } = self;
        Threshold {
            subject,
            group: group.into(),
            metric,
            limit,
            fail_limit,
            users,
            during,
            window_s,
            required,
        }
    }
}

/// Reads `every`, the length of a window, in seconds.
fn window_s<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> Option<u32> {
    let (text, at) = table.optional_string(source, "every")?;
    match duration::parse_positive(&text) {
        Ok(duration) => u32::try_from(duration.as_secs()).ok(),
        Err(message) => {
            source.add_error(at, format!("`every`: {message}"));
            None
        }
    }
}

/// Reads `users_from` and `users_to`; any number of users if they are absent.
pub(super) fn users<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> UserRange {
    let from = table.optional_positive_integer(source, "users_from");
    let to = table.optional_positive_integer(source, "users_to");
    let range = UserRange { from: from.unwrap_or(0), to: to.unwrap_or(u32::MAX) };
    if range.from > range.to {
        let message = "`users_from` must not be greater than `users_to`";
        source.add_error(table.span.clone(), message);
    }
    range
}

/// Reads `during`; the judged stages if it is absent.
fn during<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    allowed: &AllowedNames<'_>,
) -> During {
    let Some((name, at)) = table.optional_string(source, "during") else { return During::Judged };
    if name == "run" {
        return During::Run;
    }
    if !allowed.stages.contains(&name.as_str()) {
        let stages = allowed.stages.join(", ");
        let message = format!("unknown stage `{name}`; `during` must be run or one of: {stages}");
        source.add_error(at, message);
    }
    During::Stage(name)
}

/// Reads `endpoint`; all requests if it is absent.
pub(super) fn endpoint_or_all<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    allowed: &AllowedNames<'_>,
) -> Subject {
    let Some((endpoint, at)) = table.optional_string(source, "endpoint") else {
        return Subject::AllRequests;
    };
    check_endpoint(source, allowed, &endpoint, at);
    Subject::Endpoint(endpoint)
}

/// Reports an endpoint that no user class requests.
pub(super) fn check_endpoint(
    source: &mut Source<'_>,
    allowed: &AllowedNames<'_>,
    endpoint: &str,
    at: Range<usize>,
) {
    if !allowed.endpoints.contains(&endpoint) {
        let requested = allowed.endpoints.join(", ");
        source.add_error(
            at,
            format!(
                "no user class of this profile requests `{endpoint}`; expected one of: {requested}"
            ),
        );
    }
}
