//! Reads a profile file, and finds every mistake in it at once.

use std::ops::Range;

use super::{ClassShare, Level, Part, Profile, ReportPaths, Schedule};
use crate::{
    outcome::{Model, Spacing},
    scenarios::{self, UserClass},
    timespan,
    toml_source::{Source, Table},
};

/// Reads the whole file; mistakes are left in `source`.
pub(super) fn read<'a>(source: &mut Source<'a>) -> Option<Profile> {
    let mut root = source.root();
    let name = root.text(source, "name");
    let description = root.text(source, "description");
    let model = model(source, &mut root);
    let spacing = spacing(source, &mut root, model);
    let saturate = root.optional_truth(source, "saturate").unwrap_or(false);
    let (users, schedule) = if root.has("stage") {
        parts(source, &mut root, model)
    } else {
        simple(source, &mut root, model)
    };
    let sla = if saturate { root.optional_text(source, "sla") } else { root.text(source, "sla") };
    let classes = classes(source, &mut root);
    let reports = reports(source, &mut root);
    root.finish(source);
    Some(Profile {
        name: name?.0,
        description: description?.0,
        model,
        spacing,
        saturate,
        users: users?,
        schedule: schedule?,
        sla: sla.map(|(sla, _)| sla),
        classes,
        reports,
    })
}

fn model<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Model {
    match root.optional_text(source, "model") {
        None => Model::Closed,
        Some((name, _)) if name == "closed" => Model::Closed,
        Some((name, _)) if name == "open" => Model::Open,
        Some((name, at)) => {
            source.mistake(at, format!("there is no model `{name}`; there are closed and open"));
            Model::Closed
        }
    }
}

fn spacing<'a>(source: &mut Source<'a>, root: &mut Table<'a>, model: Model) -> Spacing {
    let Some((name, at)) = root.optional_text(source, "arrivals") else { return Spacing::Steady };
    if model == Model::Closed {
        source.mistake(at, "`arrivals` needs `model = \"open\"`: here, answers set the pace");
        return Spacing::Steady;
    }
    match name.as_str() {
        "steady" => Spacing::Steady,
        "poisson" => Spacing::Poisson,
        _ => {
            source.mistake(at, format!("no `arrivals` are `{name}`; they are steady or poisson"));
            Spacing::Steady
        }
    }
}

/// The form without stages: a ramp and what follows, or one rate.
fn simple<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    model: Model,
) -> (Option<u32>, Option<Schedule>) {
    let users = root.count(source, "users");
    let warm_up_s = span(source, root, "warm_up", false).unwrap_or(0);
    let run_time_s = span(source, root, "run_time", true);
    let schedule = match model {
        Model::Closed => {
            let spawn_rate = above_zero(source, root, "spawn_rate", true);
            spawn_rate.zip(run_time_s).map(|(spawn_rate, run_time_s)| Schedule::Ramped {
                spawn_rate,
                warm_up_s,
                run_time_s,
            })
        }
        Model::Open => {
            let rate = above_zero(source, root, "rate", true);
            let at = root.span.clone();
            let steady_s = run_time_s.map(|all| all.saturating_sub(warm_up_s));
            if steady_s == Some(0) {
                source.mistake(at, "`run_time` includes `warm_up`, and must be longer");
            }
            rate.zip(steady_s)
                .map(|(rate, steady_s)| Schedule::Parts(one_rate(rate, warm_up_s, steady_s)))
        }
    };
    (users, schedule)
}

fn one_rate(rate: f64, warm_up_s: u64, steady_s: u64) -> Vec<Part> {
    let part = |name: &str, lasts_s, judged| Part {
        name: name.into(),
        lasts_s,
        level: Level::Hold(rate),
        at_once: 0,
        judged,
    };
    let mut parts = vec![part("warm-up", warm_up_s, false), part("steady", steady_s, true)];
    parts.retain(|part| part.lasts_s > 0);
    parts
}

/// The form with stages. In the closed model the highest stage tells how many users there are.
fn parts<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    model: Model,
) -> (Option<u32>, Option<Schedule>) {
    let at = root.span.clone();
    let bound = if model == Model::Open { root.count(source, "users") } else { None };
    let tables = root.tables(source, "stage");
    let wanted = tables.len();
    let mut parts: Vec<Part> = Vec::new();
    for mut table in tables {
        let at = table.span.clone();
        let part = part(source, &mut table, model);
        table.finish(source);
        let Some(part) = part else { continue };
        if parts.iter().any(|other| other.name == part.name) {
            source.mistake(at, format!("two stages are called `{}`", part.name));
        }
        parts.push(part);
    }
    if parts.len() < wanted {
        return (None, None);
    }
    let schedule = Schedule::Parts(parts);
    let height = schedule.height().unwrap_or_default();
    let users = match model {
        Model::Open => bound,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "read as a whole number of one or above"
        )]
        Model::Closed => (height > 0.0).then_some(height as u32),
    };
    if users.is_none() && model == Model::Closed {
        source.mistake(at, "no stage has any users");
    }
    (users, Some(schedule))
}

fn part<'a>(source: &mut Source<'a>, table: &mut Table<'a>, model: Model) -> Option<Part> {
    let name = table.text(source, "name");
    let lasts_s = span(source, table, "lasts", true);
    let at_once = match model {
        Model::Open => table.optional_count(source, "at_once").unwrap_or(0),
        Model::Closed => 0,
    };
    let level = level(source, table, model, at_once > 0);
    let judged = table.optional_truth(source, "judged");
    let level = level?;
    Some(Part {
        name: name?.0,
        lasts_s: lasts_s?,
        level,
        at_once,
        judged: judged.unwrap_or(matches!(level, Level::Hold(_))),
    })
}

fn level<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    model: Model,
    optional: bool,
) -> Option<Level> {
    let (hold_key, ramp_key) = match model {
        Model::Closed => ("users", "ramp_to_users"),
        Model::Open => ("rate", "ramp_to_rate"),
    };
    let at = table.span.clone();
    let mut read = |key: &str| match model {
        Model::Closed => table.optional_count(source, key).map(f64::from),
        Model::Open => above_zero(source, table, key, false),
    };
    let (hold, ramp) = (read(hold_key), read(ramp_key));
    match (hold, ramp) {
        (Some(level), None) => Some(Level::Hold(level)),
        (None, Some(level)) => Some(Level::RampTo(level)),
        (None, None) if optional => Some(Level::Hold(0.0)),
        _ => {
            source.mistake(
                at,
                format!(
                    "a stage needs either `{hold_key}` (the same all the time) or `{ramp_key}`"
                ),
            );
            None
        }
    }
}

fn above_zero<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    key: &str,
    required: bool,
) -> Option<f64> {
    let at = table.span_of(key);
    let number =
        if required { table.number(source, key) } else { table.optional_number(source, key) };
    if number == Some(0.0) {
        source.mistake(at, format!("`{key}` must be above zero"));
        return None;
    }
    number
}

/// Seconds of a span of time such as `10m`.
fn span<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    key: &str,
    required: bool,
) -> Option<u64> {
    let read = if required { table.text(source, key) } else { table.optional_text(source, key) };
    let (text, at) = read?;
    match timespan::parse_positive(&text) {
        Ok(span) => Some(span.as_secs()),
        Err(message) => {
            source.mistake(at, format!("`{key}`: {message}"));
            None
        }
    }
}

fn classes<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Vec<ClassShare> {
    let at = root.span.clone();
    let tables = root.tables(source, "class");
    if tables.is_empty() {
        source.mistake(at, "at least one [[class]] is needed");
    }
    tables
        .into_iter()
        .filter_map(|mut table| {
            let name = table.text(source, "name");
            let weight = table.count(source, "weight");
            table.finish(source);
            let (name, at) = name?;
            let class = known_class(source, &name, at)?;
            Some(ClassShare { class, weight: weight? })
        })
        .collect()
}

fn known_class(
    source: &mut Source<'_>,
    name: &str,
    at: Range<usize>,
) -> Option<&'static UserClass> {
    let class = scenarios::find(name);
    if class.is_none() {
        let known = scenarios::ALL.map(|class| class.name).join(", ");
        source.mistake(at, format!("there is no user class `{name}`; there are {known}"));
    }
    class
}

fn reports<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> ReportPaths {
    let Some(mut table) = root.table(source, "reports") else { return ReportPaths::default() };
    let mut path = |key| table.optional_text(source, key).map(|(text, _)| text.into());
    let reports = ReportPaths {
        html: path("html"),
        csv: path("csv"),
        json: path("json"),
        junit: path("junit"),
        markdown: path("markdown"),
        metrics: path("metrics"),
    };
    table.finish(source);
    reports
}
