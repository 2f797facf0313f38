//! Parses the stages of a profile.

use std::ops::Range;

use super::{
    Level, Schedule, StageSpec,
    numbers::{duration_s, positive_number},
    schedule,
};
use crate::{
    load::Model,
    scenario::UserClass,
    suggest,
    toml_source::{Source, Table},
};

/// A name in a profile and its byte range.
type NameAt = (String, Range<usize>);

/// The load of a profile with stages.
#[derive(Default)]
pub(super) struct Stages {
    /// Peak number of users; in the open model the size of the virtual user pool.
    pub(super) users: Option<u32>,
    pub(super) schedule: Option<Schedule>,
    /// The user classes that stages name.
    pub(super) classes: Vec<NameAt>,
}

/// Parses the load of a profile with stages. In the closed model the number of users is that of the
/// highest stage.
pub(super) fn read<'a>(source: &mut Source<'a>, root: &mut Table<'a>, model: Model) -> Stages {
    let at = root.span_of("stage");
    let pool_size =
        if model == Model::Open { root.positive_integer(source, "users") } else { None };
    let tables = root.tables(source, "stage");
    let stage_count = tables.len();
    if stage_count == 0 {
        source.add_error(at, "a load needs at least one [[stage]], or `run_time`");
        return Stages::default();
    }
    let (mut specs, mut places, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    for mut table in tables {
        let at = table.span.clone();
        let spec = stage(source, &mut table, model, &mut classes);
        table.report_unknown_keys(source);
        let Some(spec) = spec else { continue };
        check_name(source, &spec, &at, &specs);
        specs.push(spec);
        places.push(at);
    }
    check_iterations(source, &specs, &places);
    if specs.len() < stage_count {
        return Stages { classes, ..Stages::default() };
    }
    let schedule = Schedule::Stages(specs);
    let peak = schedule.peak().unwrap_or_default();
    let users = match model {
        Model::Open => pool_size,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "parsed as an integer of at least 0"
        )]
        Model::Closed => (peak > 0.0).then_some(peak as u32),
    };
    if users.is_none() && model == Model::Closed {
        source.add_error(at, "no stage has users");
    }
    Stages { users, schedule: Some(schedule), classes }
}

fn check_name(source: &mut Source<'_>, spec: &StageSpec, at: &Range<usize>, earlier: &[StageSpec]) {
    if spec.name == "run" {
        source.add_error(at.clone(), "a stage cannot be called `run`, which means the whole run");
    }
    if earlier.iter().any(|other| other.name == spec.name) {
        source.add_error(at.clone(), format!("duplicate stage name `{}`", spec.name));
    }
}

/// Checks that all stages have a fixed number of iterations, except pauses, or none has.
fn check_iterations(source: &mut Source<'_>, specs: &[StageSpec], places: &[Range<usize>]) {
    let is_fixed = specs.iter().any(|spec| spec.iterations > 0);
    for (spec, at) in specs.iter().zip(places) {
        let is_pause = spec.level == Level::Hold(0.0) && spec.burst == 0;
        if !is_fixed && is_pause {
            let message = "a stage without users needs others with `iterations`";
            source.add_error(at.clone(), message);
        } else if is_fixed && spec.iterations == 0 && !is_pause {
            let message =
                "a stage beside others with `iterations` needs `iterations`, or `users = 0`";
            source.add_error(at.clone(), message);
        }
    }
}

fn stage<'a>(
    source: &mut Source<'a>,
    table: &mut Table<'a>,
    model: Model,
    named: &mut Vec<NameAt>,
) -> Option<StageSpec> {
    let at = table.span.clone();
    let name = table.name(source, "name");
    let duration_s = duration_s(source, table, "lasts", true);
    let key = if model == Model::Open { "at_once" } else { "iterations" };
    let count = table.optional_positive_integer(source, key).unwrap_or(0);
    let (burst, iterations) = if model == Model::Open { (count, 0) } else { (0, count) };
    let level = level(source, table, model, burst > 0);
    let judged = table.optional_bool(source, "judged");
    let classes_at = table.span_of("classes");
    let classes = table.optional_strings(source, "classes");
    if !classes.is_empty() && model == Model::Closed && iterations == 0 {
        let message = "`classes` of a stage requires `model = \"open\"`, or `iterations`";
        source.add_error(classes_at, message);
    }
    named.extend(classes.iter().cloned());
    let (name, level) = (name?.0, level?);
    if let Err(message) = check_users(&name, iterations, level) {
        source.add_error(at, message);
    }
    let holds = matches!(level, Level::Hold(_));
    let is_pause = model == Model::Closed && level == Level::Hold(0.0);
    Some(StageSpec {
        burst,
        iterations,
        classes: classes.into_iter().map(|(class, _)| class).collect(),
        ..StageSpec::new(&name, duration_s?, level, judged.unwrap_or(holds && !is_pause))
    })
}

/// Checks that the users of a stage can share its iterations.
///
/// # Errors
/// Returns a message if they cannot.
fn check_users(name: &str, iterations: u32, level: Level) -> Result<(), String> {
    match level {
        _ if iterations == 0 => Ok(()),
        Level::RampTo(_) => {
            Err("a stage with `iterations` has a constant number of `users`".into())
        }
        Level::Hold(users) if users < 1.0 => {
            Err("a stage with `iterations` needs at least one user".into())
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "parsed as an integer of at least 0"
        )]
        Level::Hold(users) => schedule::check_iterations(name, iterations, users as u32),
    }
}

/// Parses the level of a stage. Unless it is `optional`, exactly one of the two keys is required.
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
    let (hold, ramp) = match model {
        Model::Closed => (
            table.optional_integer(source, hold_key, 0).map(f64::from),
            table.optional_positive_integer(source, ramp_key).map(f64::from),
        ),
        Model::Open => (
            positive_number(source, table, hold_key, false),
            positive_number(source, table, ramp_key, false),
        ),
    };
    match (hold, ramp) {
        (Some(level), None) => Some(Level::Hold(level)),
        (None, Some(level)) => Some(Level::RampTo(level)),
        (None, None) if optional => Some(Level::Hold(0.0)),
        _ => {
            source.add_error(
                at,
                format!("a stage needs either `{hold_key}` (constant) or `{ramp_key}` (linear)"),
            );
            None
        }
    }
}

/// Checks that the user classes that stages name are among `classes`, those of the profile.
pub(super) fn check_classes<'c>(
    source: &mut Source<'_>,
    named: Vec<NameAt>,
    classes: impl Iterator<Item = &'c UserClass>,
) {
    let known: Vec<&str> = classes.map(|class| class.name).collect();
    for (name, at) in named {
        if !known.contains(&name.as_str()) {
            let hint = suggest::did_you_mean(&name, known.iter().copied(), || {
                format!("; it has: {}", known.join(", "))
            });
            let message = format!("this profile has no user class `{name}` ([[class]]){hint}");
            source.add_error(at, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plant, profile::Profile};

    /// Parses a profile with these `stages` and the class `HealthCheckUser`. Its first stage is in
    /// line 3.
    fn parse(stages: &str) -> Result<Vec<StageSpec>, String> {
        let text = format!(
            "name = \"x\"\nsla = \"smoke\"\n{stages}\n[[class]]\nname = \"HealthCheckUser\"\n"
        );
        match Profile::parse(&plant::harness(), "x.toml", &text) {
            Ok(Profile { schedule: Schedule::Stages(specs), .. }) => Ok(specs),
            Ok(_) => panic!("expected stages"),
            Err(error) => Err(error.to_string()),
        }
    }

    const FIXED: &str = "[[stage]]\nname = \"a\"\nlasts = \"5s\"\nusers = 4\niterations = 20\n";
    const PAUSE: &str = "[[stage]]\nname = \"b\"\nlasts = \"3s\"\nusers = 0\n";

    #[test]
    fn iterations_are_shared_by_a_constant_number_of_users_with_pauses_between_them() {
        let named = format!("{FIXED}classes = [\"HealthCheckUser\"]\n{PAUSE}");
        let specs = parse(&named).unwrap();
        assert_eq!((specs[0].iterations, specs[0].level), (20, Level::Hold(4.0)));
        assert_eq!(specs[0].classes, ["HealthCheckUser"]);
        assert_eq!((specs[1].iterations, specs[1].level), (0, Level::Hold(0.0)));
        assert_eq!([specs[0].judged, specs[1].judged], [true, false], "a pause has no requests");
        assert!(parse(&format!("{FIXED}{PAUSE}judged = true\n")).unwrap()[1].judged);
    }

    #[test]
    fn mistakes_in_stages_with_iterations_have_their_lines() {
        let plain = "[[stage]]\nname = \"c\"\nlasts = \"3s\"\nusers = 2\n";
        for (stages, line, message) in [
            (FIXED.replace("users = 4", "users = 21"), 3, "20 iterations for 21 users"),
            (FIXED.replace("users = 4", "users = 0"), 3, "needs at least one user"),
            (FIXED.replace("users", "ramp_to_users"), 3, "a constant number of `users`"),
            (FIXED.replace("= 20", "= 0"), 7, "`iterations` must be an integer of at least 1"),
            (format!("{FIXED}{plain}"), 8, "needs `iterations`, or `users = 0`"),
            (format!("{plain}{PAUSE}"), 7, "a stage without users needs others"),
            (
                format!("{plain}classes = [\"HealthCheckUser\"]\n"),
                7,
                "`classes` of a stage requires",
            ),
            (format!("{FIXED}classes = [\"Nobody\"]\n"), 8, "no user class `Nobody`"),
            (format!("{FIXED}at_once = 5\n"), 8, "unknown key `at_once`"),
        ] {
            let error = parse(&stages).unwrap_err();
            let place = format!("x.toml:{line}: ");
            let found = error.lines().any(|one| one.starts_with(&place) && one.contains(message));
            assert!(found, "{stages}: {error}");
        }
        let open =
            format!("model = \"open\"\nusers = 5\n{}", FIXED.replace("users = 4", "rate = 4"));
        let error = parse(&open).unwrap_err();
        assert_eq!(error, "x.toml:9: unknown key `iterations`", "{error}");
    }
}
