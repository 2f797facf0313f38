//! Which requests a limit applies to, by the names that exist in the run.

use std::fmt;

use super::{Metric, Subject, over_time::OverTimeLimit};
use crate::{
    suggest,
    toml_source::{Source, Table},
};

/// Names that thresholds may contain: those of the run that they judge.
#[derive(Debug, Default)]
pub struct AllowedNames<'n> {
    /// Endpoints that the user classes request.
    pub endpoints: Vec<&'n str>,
    /// Those of them that only users who start or stop request, and which `*` does not include.
    pub outside_tasks: Vec<&'n str>,
    /// User classes.
    pub classes: Vec<&'n str>,
    /// Tags of the endpoints.
    pub tags: Vec<&'n str>,
    /// Kinds of accepted work that the user classes create.
    pub work: Vec<&'n str>,
    /// Custom counters of the user classes.
    pub counters: Vec<&'n str>,
    /// Stages of the load; empty if it is not known, as for an SLA file on its own.
    pub stages: Vec<&'n str>,
    /// Metrics of the service that this run cannot measure; empty if that is not known.
    pub unmeasured: Vec<Unmeasured>,
}

/// A metric of the service that a run cannot measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmeasured {
    /// The metric.
    pub metric: Metric,
    /// Why it cannot be measured, and what to do.
    pub reason: String,
}

impl fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot be measured: {}", self.metric.notation(), self.reason)
    }
}

/// The requests that limits apply to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scope {
    /// All requests together.
    All,
    /// Each of these endpoints by itself.
    Endpoints(Vec<String>),
    /// The endpoints of a user class together.
    Class(String),
    /// The endpoints with a tag together.
    Tag(String),
    /// Accepted work.
    Work(String),
}

impl Scope {
    /// Reads `endpoints`, `class`, `tag` or `work`, of which at most one is set.
    pub(super) fn read<'a>(
        source: &mut Source<'a>,
        table: &mut Table<'a>,
        names: &AllowedNames<'_>,
    ) -> Self {
        let keys = ["endpoints", "class", "tag", "work"].into_iter();
        let keys: Vec<&str> = keys.filter(|key| table.contains_key(key)).collect();
        if keys.len() > 1 {
            let message = format!("set only one of {}", keys.join(", "));
            source.add_error(table.span.clone(), message);
        }
        let mut scope = Self::All;
        for (name, at) in table.optional_strings(source, "endpoints") {
            match names.endpoints(&name) {
                Ok(endpoints) => scope = scope.with_endpoints(endpoints),
                Err(message) => {
                    source.add_error(at, message);
                    scope = scope.with_endpoints(vec![name]);
                }
            }
        }
        for key in ["class", "tag", "work"] {
            let Some((name, at)) = table.optional_string(source, key) else { continue };
            match names.scope(key, &name) {
                Ok(found) => scope = found,
                Err(message) => {
                    source.add_error(at, message);
                    // The limits of the table are checked by what it means.
                    scope = Self::of(key, name);
                }
            }
        }
        scope
    }

    /// Parses the scope before the colon of a limit: `class NAME`, `tag NAME`, `work NAME` or the name
    /// of an endpoint.
    ///
    /// # Errors
    /// Returns a message if there is no such name.
    pub(super) fn parse(text: &str, names: &AllowedNames<'_>) -> Result<Self, String> {
        match text.split_once(' ') {
            Some((key @ ("class" | "tag" | "work"), name)) => names.scope(key, name.trim()),
            _ => names.endpoints(text).map(Self::Endpoints),
        }
    }

    /// Returns the scope that is written as `key` and `name`.
    fn of(key: &str, name: String) -> Self {
        match key {
            "class" => Self::Class(name),
            "tag" => Self::Tag(name),
            _ => Self::Work(name),
        }
    }

    fn with_endpoints(self, more: Vec<String>) -> Self {
        let mut endpoints =
            if let Self::Endpoints(endpoints) = self { endpoints } else { Vec::new() };
        endpoints.extend(more);
        Self::Endpoints(endpoints)
    }

    /// Returns what a limit of `metric` applies to.
    ///
    /// # Errors
    /// Returns a message if these requests have no such metric.
    pub(super) fn subjects(
        &self,
        metric: &Metric,
        names: &AllowedNames<'_>,
    ) -> Result<Vec<Subject>, String> {
        let name = metric.notation();
        match (metric, self) {
            (Metric::Drain | Metric::NotEnded | Metric::Doubled, Self::Work(work)) => {
                Ok(vec![Subject::Work(work.clone())])
            }
            (Metric::Drain | Metric::NotEnded | Metric::Doubled, _) => {
                Err(format!("`{name}` needs `work`, a kind of accepted work"))
            }
            (Metric::Count(counter) | Metric::CountRate(counter), Self::All) => {
                let problem = "no user class of this profile has the counter";
                find(&names.counters, counter, problem).map(|_| vec![Subject::Run])
            }
            (
                Metric::Resource(_)
                | Metric::Restarts
                | Metric::SecondsToHealthy
                | Metric::QueueAfter,
                Self::All,
            ) => Ok(vec![Subject::Service]),
            (Metric::FailedActions, Self::All) => Ok(vec![Subject::Run]),
            (
                Metric::Count(_)
                | Metric::CountRate(_)
                | Metric::Resource(_)
                | Metric::Restarts
                | Metric::SecondsToHealthy
                | Metric::QueueAfter
                | Metric::FailedActions,
                _,
            ) => Err(format!(
                "`{name}` is no metric of requests; give it no endpoint, class, tag or work"
            )),
            (Metric::Rate | Metric::StatusShare(_), Self::Work(_)) => Err(format!(
                "accepted work has no `{name}`; it has percentiles, avg, max, errors, drain, \
                 not_ended and doubled"
            )),
            (Metric::ErrorRate(_), Self::Work(_)) if *metric != Metric::all_errors() => {
                Err(format!("accepted work has `errors` only, without kinds: not `{name}`"))
            }
            _ => Ok(self.requests()),
        }
    }

    fn requests(&self) -> Vec<Subject> {
        match self {
            Self::All => vec![Subject::AllRequests],
            Self::Endpoints(names) => names.iter().cloned().map(Subject::Endpoint).collect(),
            Self::Class(name) => vec![Subject::Class(name.clone())],
            Self::Tag(name) => vec![Subject::Tag(name.clone())],
            Self::Work(name) => vec![Subject::Work(name.clone())],
        }
    }
}

impl AllowedNames<'_> {
    /// Returns the endpoint `name`; all of the tasks for `*`.
    fn endpoints(&self, name: &str) -> Result<Vec<String>, String> {
        if name != "*" {
            let problem = "no user class of this profile requests";
            return find(&self.endpoints, name, problem).map(|name| vec![name]);
        }
        let mut all = self.endpoints.clone();
        all.retain(|endpoint| !self.outside_tasks.contains(endpoint));
        all.sort_unstable();
        all.dedup();
        Ok(all.into_iter().map(str::to_owned).collect())
    }

    fn scope(&self, key: &str, name: &str) -> Result<Scope, String> {
        let (known, problem) = match key {
            "class" => (&self.classes, "this profile has no user class"),
            "tag" => (&self.tags, "no endpoint of this profile has the tag"),
            _ => (&self.work, "no user class of this profile submits the work"),
        };
        find(known, name, problem).map(|name| Scope::of(key, name))
    }

    /// Checks that the run can measure `metric`, which a threshold that is not optional limits.
    pub(super) fn check_measured(&self, metric: &Metric) -> Result<(), String> {
        match self.unmeasured.iter().find(|unmeasured| unmeasured.metric == *metric) {
            Some(unmeasured) => Err(unmeasured.to_string()),
            None => Ok(()),
        }
    }

    /// Checks that the run can measure what a limit on its course needs.
    pub(super) fn check_over_time(&self, limit: OverTimeLimit) -> Result<(), String> {
        limit.service_metric().map_or(Ok(()), |metric| self.check_measured(&metric))
    }

    /// Checks that there is a stage with this `name`.
    pub(super) fn check_stage(&self, name: &str) -> Result<(), String> {
        if self.stages.is_empty() || self.stages.contains(&name) {
            return Ok(());
        }
        let known = self.stages.iter().copied().chain(["run"]);
        let hint = suggest::did_you_mean(name, known, || {
            format!("; `during` must be run or one of: {}", self.stages.join(", "))
        });
        Err(format!("unknown stage `{name}`{hint}"))
    }
}

/// Returns `name` if it is one of the `known` ones; otherwise a message that begins with `problem`.
fn find(known: &[&str], name: &str, problem: &str) -> Result<String, String> {
    if known.contains(&name) {
        return Ok(name.to_owned());
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    Err(match known[..] {
        [] => format!("{problem} `{name}`; there is none"),
        _ => {
            let hint = suggest::did_you_mean(name, known.iter().copied(), || {
                format!("; expected one of: {}", known.join(", "))
            });
            format!("{problem} `{name}`{hint}")
        }
    })
}
