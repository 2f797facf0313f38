//! Parses a profile file and reports all its errors.

use std::{ops::Range, path::Path, time::Duration};

use super::{
    Level, Profile, ProfileThreshold, ReportPaths, Schedule, StageSpec, WeightedClass, actions,
    numbers::{duration_s, positive_number},
    schedule,
    stages::{self, Stages},
    target,
};
use crate::{
    built_in,
    harness::Harness,
    load::{Model, Spacing},
    placeholder::FILL_IN,
    scenario::{self, UserClass, data},
    sla, suggest,
    toml_source::{Source, Table},
};

/// Timeout for one request if the profile sets none; that of most proxies and clients.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Parses the profile in `source`, which may name the user classes of `harness`, and adds errors to
/// it. Other files that it names are relative to `folder`.
pub(super) fn read<'a>(
    source: &mut Source<'a>,
    harness: &Harness,
    folder: &Path,
) -> Option<Profile> {
    let mut root = source.root();
    report_missing_values(source, &root);
    let name = name(source, &mut root);
    let description = description(source, &mut root);
    let model = model(source, &mut root);
    let spacing = spacing(source, &mut root, model);
    let saturate = root.optional_bool(source, "saturate").unwrap_or(false);
    let Stages { users, schedule, classes: named_classes } = if root.contains_key("stage") {
        stages::read(source, &mut root, model)
    } else {
        without_stages(source, &mut root, model)
    };
    if !saturate && !root.contains_key("sla") && !root.contains_key("thresholds") {
        source.add_error(root.span.clone(), "set `sla`, the name of an SLA file, or `thresholds`");
    }
    let sla = sla_file(source, &mut root, harness, folder);
    let timeout = duration_s(source, &mut root, "timeout", false);
    let target = target::read(source, &mut root);
    let classes = classes(source, &mut root, harness, folder);
    stages::check_classes(source, named_classes, classes.iter().map(|weighted| weighted.class));
    let thresholds = thresholds(source, &mut root, &classes);
    let actions = actions::read(source, &mut root, schedule.as_ref());
    let reports = reports(source, &mut root);
    root.report_unknown_keys(source);
    Some(Profile {
        file: source.file().to_owned(),
        name: name?,
        description: description.unwrap_or_else(|| describe(&classes)),
        model,
        spacing,
        saturate,
        users: users?,
        schedule: schedule?,
        sla,
        timeout: timeout.map_or(DEFAULT_TIMEOUT, Duration::from_secs),
        thresholds,
        classes,
        target,
        actions,
        reports,
    })
}

/// Adds an error for every text that `init` left to be filled in.
fn report_missing_values(source: &mut Source<'_>, root: &Table<'_>) {
    for (text, at) in root.texts() {
        if text.contains(FILL_IN) {
            let message =
                format!("`{FILL_IN}` stands for a value that `init` could not know; replace it");
            source.add_error(at, message);
        }
    }
}

/// Reads the name, by which report files are called.
fn name<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Option<String> {
    let (name, at) = root.name(source, "name")?;
    if name.contains(['/', '\\']) {
        source.add_error(at, "`name` must have no `/` and `\\`: report files are called by it");
    }
    Some(name)
}

fn description<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Option<String> {
    let (text, at) = root.optional_string(source, "description")?;
    if text.contains(|c: char| c.is_control() && c != '\n') {
        source.add_error(at, "`description` must have no control characters");
    }
    Some(text)
}

/// Reads `sla`: the name of a built-in SLA, or the path of a file in `folder`.
fn sla_file<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    harness: &Harness,
    folder: &Path,
) -> Option<String> {
    let (name, at) = root.optional_string(source, "sla")?;
    let is_built_in = harness.slas.iter().any(|sla| sla.name == name);
    let path = if is_built_in { name } else { folder.join(name).display().to_string() };
    if let Err(error) = built_in::read_sla(harness.slas, &path) {
        source.add_error(at, error.to_string());
    }
    Some(path)
}

/// Returns the description of a profile that has none: its user classes.
fn describe(classes: &[WeightedClass]) -> String {
    let names: Vec<&str> = classes.iter().map(|weighted| weighted.class.name).collect();
    format!("users: {}", names.join(", "))
}

fn model<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Model {
    match root.optional_string(source, "model") {
        None => Model::Closed,
        Some((name, _)) if name == "closed" => Model::Closed,
        Some((name, _)) if name == "open" => Model::Open,
        Some((name, at)) => {
            source.add_error(at, format!("`model` must be closed or open, not `{name}`"));
            Model::Closed
        }
    }
}

fn spacing<'a>(source: &mut Source<'a>, root: &mut Table<'a>, model: Model) -> Spacing {
    let Some((name, at)) = root.optional_string(source, "arrivals") else { return Spacing::Steady };
    if model == Model::Closed {
        source.add_error(at, "`arrivals` requires `model = \"open\"`");
        return Spacing::Steady;
    }
    match name.as_str() {
        "steady" => Spacing::Steady,
        "poisson" => Spacing::Poisson,
        _ => {
            source.add_error(at, format!("`arrivals` must be steady or poisson, not `{name}`"));
            Spacing::Steady
        }
    }
}

/// Parses the load of a profile without stages: in the closed model a ramp and a constant number of
/// users, in the open model a constant rate.
fn without_stages<'a>(source: &mut Source<'a>, root: &mut Table<'a>, model: Model) -> Stages {
    let users = root.positive_integer(source, "users");
    let warm_up_s = duration_s(source, root, "warm_up", false).unwrap_or(0);
    let run_time_at = root.span_of("run_time");
    let run_time_s = duration_s(source, root, "run_time", true);
    let schedule = match model {
        Model::Closed => {
            let spawn_rate = positive_number(source, root, "spawn_rate", true);
            if let (Some(users), Some(spawn_rate), Some(run_time_s)) =
                (users, spawn_rate, run_time_s)
                && let Err(message) =
                    schedule::ramp_stages(users, spawn_rate, warm_up_s, run_time_s)
            {
                source.add_error(run_time_at, message);
            }
            spawn_rate.zip(run_time_s).map(|(spawn_rate, run_time_s)| Schedule::Ramp {
                spawn_rate,
                warm_up_s,
                run_time_s,
            })
        }
        Model::Open => {
            let rate = positive_number(source, root, "rate", true);
            let steady_s = run_time_s.map(|total| total.saturating_sub(warm_up_s));
            if steady_s == Some(0) {
                source.add_error(
                    run_time_at,
                    "`run_time` includes `warm_up` and must be longer than it",
                );
            }
            rate.zip(steady_s)
                .map(|(rate, steady_s)| Schedule::Stages(constant_rate(rate, warm_up_s, steady_s)))
        }
    };
    Stages { users, schedule, classes: Vec::new() }
}

/// Returns the stages of a constant rate, of which the warm-up is not judged.
fn constant_rate(rate: f64, warm_up_s: u64, steady_s: u64) -> Vec<StageSpec> {
    let mut specs = vec![
        StageSpec::new("warm-up", warm_up_s, Level::Hold(rate), false),
        StageSpec::new("steady", steady_s, Level::Hold(rate), true),
    ];
    specs.retain(|stage| stage.duration_s > 0);
    specs
}

fn classes<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    harness: &Harness,
    folder: &Path,
) -> Vec<WeightedClass> {
    let at = root.span.clone();
    let tables = root.tables(source, "class");
    if tables.is_empty() {
        source.add_error(at, "a profile needs at least one [[class]]");
    }
    let mut names: Vec<String> = Vec::new();
    let mut classes = Vec::new();
    for mut table in tables {
        let name = table.name(source, "name");
        let weight = table.optional_positive_integer(source, "weight").unwrap_or(1);
        let is_definition = data::is_definition(&table);
        if let Some((name, at)) = &name {
            check_class_name(source, harness, name, at, is_definition, &names);
            names.push(name.clone());
        }
        let class = if is_definition {
            let name = name.as_ref().map_or("", |(name, _)| name);
            Some(data::define(source, &mut table, name, folder))
        } else {
            name.and_then(|(name, at)| find_class(source, harness, &name, at))
        };
        table.report_unknown_keys(source);
        classes.extend(class.map(|class| WeightedClass { class, weight }));
    }
    classes
}

/// Checks that a class is not one of the `earlier` ones, and that a class that the profile defines has
/// a name of its own.
fn check_class_name(
    source: &mut Source<'_>,
    harness: &Harness,
    name: &str,
    at: &Range<usize>,
    is_definition: bool,
    earlier: &[String],
) {
    if is_definition && harness.find_class(name).is_some() {
        let message = format!("`{name}` is a user class of the program; choose another name");
        source.add_error(at.clone(), message);
    } else if earlier.iter().any(|other| other == name) {
        let message = format!("duplicate user class `{name}`; more users of it are its `weight`");
        source.add_error(at.clone(), message);
    }
}

/// Reads `thresholds`, of endpoints, classes and so on of these `classes`.
fn thresholds<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    classes: &[WeightedClass],
) -> Vec<ProfileThreshold> {
    let classes: Vec<_> = classes.iter().map(|weighted| weighted.class).collect();
    let names = scenario::allowed_names(&classes, &[]);
    let thresholds = root.optional_strings(source, "thresholds").into_iter();
    let thresholds = thresholds.map(|(text, at)| {
        let place = source.place(&at);
        if let Err(message) = sla::check_inline(&text, &names) {
            source.add_error(at, message);
        }
        ProfileThreshold { text, place }
    });
    thresholds.collect()
}

fn find_class(
    source: &mut Source<'_>,
    harness: &Harness,
    name: &str,
    at: Range<usize>,
) -> Option<&'static UserClass> {
    let class = harness.find_class(name);
    if class.is_none() {
        let known: Vec<&str> = harness.classes.iter().map(|class| class.name).collect();
        let hint = suggest::did_you_mean(name, known.iter().copied(), || {
            format!("; expected one of: {}; or a class with [[class.task]]", known.join(", "))
        });
        source.add_error(at, format!("unknown user class `{name}`{hint}"));
    }
    class
}

fn reports<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> ReportPaths {
    let Some(mut table) = root.table(source, "reports") else { return ReportPaths::default() };
    let mut path = |key| table.optional_string(source, key).map(|(text, _)| text.into());
    let reports = ReportPaths {
        html: path("html"),
        csv: path("csv"),
        json: path("json"),
        junit: path("junit"),
        markdown: path("markdown"),
        metrics_json: path("metrics"),
    };
    table.report_unknown_keys(source);
    reports
}
