//! Reads a `[[threshold]]` table: limits of one or several metrics, and where they apply.

use std::ops::Range;

use super::{
    During, Limit, Metric, OverTime, Subject, Threshold, UserRange,
    notation::{self, Parsed},
    scope::{AllowedNames, Scope},
};
use crate::{
    duration,
    toml_source::{Source, Table},
};

/// The keys that say where limits apply and what follows from them.
const SCOPE_KEYS: [&str; 9] =
    ["endpoints", "class", "tag", "work", "users", "during", "every", "optional", "abort_on_fail"];

/// A parsed limit and its byte range.
type ParsedAt = (Parsed, Range<usize>);

/// The limits of one metric.
struct MetricLimits {
    metric: Metric,
    warn: Option<Limit>,
    fail: Option<Limit>,
    at: Range<usize>,
}

/// Where and when the limits of a table apply.
struct Part {
    users: UserRange,
    during: During,
    window_s: Option<u32>,
    /// Whether the table sets `during` or `every`.
    is_given: bool,
}

/// Reads a table. Limits on the course of the run are added to `over_time`. Thresholds of the
/// `optional` metrics are not required.
pub(super) fn read<'a>(
    source: &mut Source<'a>,
    mut table: Table<'a>,
    names: &AllowedNames<'_>,
    optional: &[Metric],
    over_time: &mut OverTime,
) -> Vec<Threshold> {
    let at = table.span.clone();
    let keys = SCOPE_KEYS.into_iter().filter(|key| table.contains_key(key)).collect::<Vec<_>>();
    let group = table.optional_name(source, "group").map_or_else(String::new, |(group, _)| group);
    let scope = Scope::read(source, &mut table, names);
    let part = Part::read(source, &mut table, names);
    if !table.contains_key("warn") && !table.contains_key("fail") {
        source.add_error(at, "a threshold needs limits: `warn`, `fail` or both");
    }
    let warn = parse_limits(source, &mut table, "warn");
    let fail = parse_limits(source, &mut table, "fail");
    let is_optional = table.optional_bool(source, "optional").unwrap_or(false);
    let abort_after_s = abort_after_s(source, &mut table, &fail);
    table.report_unknown_keys(source);

    add_over_time(source, over_time, names, &keys, &warn, &fail);
    let mut thresholds = Vec::new();
    for limits in combine(source, warn, fail) {
        let MetricLimits { metric, warn, fail, at } = limits;
        let Some(limit) = warn.or(fail) else { continue };
        let abort_after_s = abort_after_s.filter(|_| fail.is_some());
        let subjects = part.check(&metric).and_then(|()| scope.subjects(&metric, names));
        let required = !is_optional && !optional.contains(&metric);
        let measured = if required { names.check_measured(&metric) } else { Ok(()) };
        let subjects = subjects.and_then(|subjects| measured.map(|()| subjects));
        let subjects = subjects.and_then(|subjects| match abort_after_s {
            Some(_) if metric.is_known_after_load() || matches!(scope, Scope::Work(_)) => Err(
                format!("`{}` is known only after the load and cannot abort it", metric.notation()),
            ),
            _ => Ok(subjects),
        });
        match subjects {
            Err(message) => source.add_error(at, message),
            Ok(subjects) => thresholds.extend(subjects.into_iter().map(|subject| Threshold {
                subject,
                group: group.clone(),
                limit,
                fail_limit: fail,
                users: part.users,
                during: part.during_of(&metric),
                window_s: part.window_s,
                required,
                abort_after_s,
                metric: metric.clone(),
            })),
        }
    }
    by_subject(thresholds)
}

/// Orders thresholds by their subjects, in the order in which these appear.
fn by_subject(mut thresholds: Vec<Threshold>) -> Vec<Threshold> {
    let mut subjects: Vec<Subject> = Vec::new();
    for threshold in &thresholds {
        if !subjects.contains(&threshold.subject) {
            subjects.push(threshold.subject.clone());
        }
    }
    thresholds.sort_by_key(|one| subjects.iter().position(|subject| *subject == one.subject));
    thresholds
}

impl Part {
    /// Reads `users`, `during` and `every`.
    fn read<'a>(source: &mut Source<'a>, table: &mut Table<'a>, names: &AllowedNames<'_>) -> Self {
        let is_given = table.contains_key("during") || table.contains_key("every");
        Self {
            users: users(source, table),
            during: during(source, table, names),
            window_s: duration_s(source, table, "every"),
            is_given,
        }
    }

    /// Checks that `metric` has values in parts of the run if the table asks for some.
    fn check(&self, metric: &Metric) -> Result<(), String> {
        match self.is_given && metric.is_of_whole_run() {
            true => Err(format!(
                "`{}` has one value for the whole run; put it into a table without `during` and `every`",
                metric.notation()
            )),
            false => Ok(()),
        }
    }

    fn during_of(&self, metric: &Metric) -> During {
        if metric.is_of_whole_run() { During::Run } else { self.during.clone() }
    }
}

/// Reads an array of limits; returns an empty list if it is absent.
fn parse_limits<'a>(source: &mut Source<'a>, table: &mut Table<'a>, key: &str) -> Vec<ParsedAt> {
    let mut limits = Vec::new();
    for (text, at) in table.optional_strings(source, key) {
        match notation::parse(&text) {
            Ok(limit) => limits.push((limit, at)),
            Err(message) => source.add_error(at, message),
        }
    }
    limits
}

/// Adds the limits on the course of the run. They are failures, and apply to the whole run.
fn add_over_time(
    source: &mut Source<'_>,
    over_time: &mut OverTime,
    names: &AllowedNames<'_>,
    keys: &[&str],
    warn: &[ParsedAt],
    fail: &[ParsedAt],
) {
    for (limit, at, is_warning) in warn
        .iter()
        .map(|(limit, at)| (limit, at, true))
        .chain(fail.iter().map(|(limit, at)| (limit, at, false)))
    {
        let Parsed::OverTime(limit) = limit else { continue };
        let name = limit.name();
        if is_warning {
            let message = format!("`{name}` decides itself what is a warning; put it into `fail`");
            source.add_error(at.clone(), message);
        } else if !keys.is_empty() {
            let message = format!(
                "`{name}` is of the whole run; put it into a table without {}",
                keys.join(", ")
            );
            source.add_error(at.clone(), message);
        } else if let Err(message) = names.check_over_time(*limit) {
            source.add_error(at.clone(), message);
        } else if !over_time.add(*limit) {
            source.add_error(at.clone(), format!("`{name}` has a limit already"));
        }
    }
}

/// Combines the limits for warnings and failures of each metric, in the order of the file.
fn combine(source: &mut Source<'_>, warn: Vec<ParsedAt>, fail: Vec<ParsedAt>) -> Vec<MetricLimits> {
    let mut all: Vec<MetricLimits> = Vec::new();
    for (key, limits) in [("warn", warn), ("fail", fail)] {
        for (parsed, at) in limits {
            let Parsed::Limit(metric, limit) = parsed else { continue };
            let index = match all.iter().position(|limits| limits.metric == metric) {
                Some(index) => index,
                None => {
                    all.push(MetricLimits { metric, warn: None, fail: None, at: at.clone() });
                    all.len() - 1
                }
            };
            let limits = &mut all[index];
            let place = if key == "warn" { &mut limits.warn } else { &mut limits.fail };
            if place.replace(limit).is_some() {
                let name = limits.metric.notation();
                source.add_error(at, format!("`{name}` has two limits in `{key}`"));
            } else if let Some(message) = contradiction(limits) {
                source.add_error(at, message);
            }
        }
    }
    all
}

/// Returns how the limits of a metric contradict each other; `None` if they do not.
fn contradiction(limits: &MetricLimits) -> Option<String> {
    let (warn, fail) = limits.warn.zip(limits.fail)?;
    let (unit, name) = (limits.metric.unit(), limits.metric.notation());
    if warn.is_upper() != fail.is_upper() {
        return Some(format!("`{name}` has an upper and a lower limit; use a table for each"));
    }
    (!fail.allows_all_of(warn)).then(|| {
        format!("`fail` (`{name} {fail} {unit}`) is stricter than `warn` (`{name} {warn} {unit}`)")
    })
}

/// Reads `abort_on_fail` and `abort_delay`; returns the delay in seconds.
fn abort_after_s<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    fail: &[ParsedAt],
) -> Option<u32> {
    let at = table.span_of("abort_on_fail");
    let aborts = table.optional_bool(source, "abort_on_fail").unwrap_or(false);
    let delay_at = table.span_of("abort_delay");
    let has_delay = table.contains_key("abort_delay");
    let delay_s = duration_s(source, table, "abort_delay");
    if has_delay && !aborts {
        source.add_error(delay_at, "`abort_delay` requires `abort_on_fail = true`");
    }
    if aborts && fail.is_empty() {
        source.add_error(at, "`abort_on_fail` requires limits in `fail`");
    }
    aborts.then_some(delay_s.unwrap_or(0))
}

/// Reads `users`, a range of numbers of users; any number if it is absent.
fn users<'a>(source: &mut Source<'a>, table: &mut Table<'a>) -> UserRange {
    let Some((text, at)) = table.optional_string(source, "users") else { return UserRange::ANY };
    let bound = |text: &str, default| match text.trim() {
        "" => Some(default),
        text => text.parse().ok().filter(|users| *users > 0),
    };
    let range = text
        .split_once("..")
        .and_then(|(from, to)| Some(UserRange { from: bound(from, 0)?, to: bound(to, u32::MAX)? }));
    match range {
        Some(range) if range.from <= range.to => range,
        _ => {
            let message = format!(
                "`users` must be a range such as 51..100, 51.. or ..50 (both ends belong to it), not \
                 `{text}`"
            );
            source.add_error(at, message);
            UserRange::ANY
        }
    }
}

/// Reads `during`: `run`, a stage or several stages; the judged stages if it is absent.
fn during<'a>(source: &mut Source<'a>, table: &mut Table<'a>, names: &AllowedNames<'_>) -> During {
    let stages = table.string_or_strings(source, "during");
    match &stages[..] {
        [] => return During::Judged,
        [(name, _)] if name == "run" => return During::Run,
        _ => {}
    }
    for (name, at) in &stages {
        if let Err(message) = names.check_stage(name) {
            source.add_error(at.clone(), message);
        }
    }
    During::Stages(stages.into_iter().map(|(name, _)| name).collect())
}

/// Reads an optional duration in seconds.
fn duration_s<'a>(source: &mut Source<'a>, table: &mut Table<'a>, key: &str) -> Option<u32> {
    let (text, at) = table.optional_string(source, key)?;
    match duration::parse_positive(&text) {
        Ok(duration) => u32::try_from(duration.as_secs()).ok(),
        Err(message) => {
            source.add_error(at, format!("`{key}`: {message}"));
            None
        }
    }
}
