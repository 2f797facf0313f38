//! The actions of a profile: programs that are run during its load, such as a backup.

use super::{Schedule, StageSpec, numbers::duration_s};
use crate::{
    duration,
    load::{Action, Stage},
    toml_source::{Source, Table},
};

/// An action as written in a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Name in reports.
    pub name: String,
    /// Seconds from the start of the profile as written.
    pub at_s: u64,
    /// Path of the program, relative to the working directory.
    pub script: String,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Reads the tables `[[action]]` of a profile with this `schedule`.
pub(super) fn read<'a>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    schedule: Option<&Schedule>,
) -> Vec<ActionSpec> {
    let mut actions: Vec<ActionSpec> = Vec::new();
    for mut table in root.tables(source, "action") {
        let at = table.span_of("at");
        let at_s = duration_s(source, &mut table, "at", true);
        let script = table.name(source, "script");
        let name_at = table.span_of("name");
        let name = table.optional_name(source, "name").map(|(name, _)| name);
        let args = table.optional_strings(source, "args");
        table.report_unknown_keys(source);
        let (Some(at_s), Some((script, _))) = (at_s, script) else { continue };
        let run_time_s = schedule.map_or(u64::MAX, Schedule::seconds);
        if at_s >= run_time_s {
            let message =
                format!("`at` must be before the end of the run, {}", duration::format(run_time_s));
            source.add_error(at, message);
        }
        let name = name.unwrap_or_else(|| file_name(&script));
        if actions.iter().any(|other| other.name == name) {
            source.add_error(name_at, format!("duplicate action name `{name}`"));
        }
        let args = args.into_iter().map(|(arg, _)| arg).collect();
        actions.push(ActionSpec { name, at_s, script, args });
    }
    actions
}

/// Returns the name of a file, without its folder and extension.
fn file_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(name).to_owned()
}

/// Places the actions in a run that divides `specs`, the stages of the profile, into `stages`: an action
/// starts in the same part of the same stage. Returns them in the order of their starts.
pub(super) fn place(actions: &[ActionSpec], specs: &[StageSpec], stages: &[Stage]) -> Vec<Action> {
    let place = |action: &ActionSpec| Action {
        name: action.name.clone(),
        at_s: scaled(action.at_s, specs, stages),
        script: action.script.clone(),
        args: action.args.clone(),
    };
    let mut placed: Vec<Action> = actions.iter().map(place).collect();
    placed.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    placed
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
fn scaled(at_s: u64, specs: &[StageSpec], stages: &[Stage]) -> f64 {
    let mut from_s = 0;
    for (spec, stage) in specs.iter().zip(stages) {
        if at_s < from_s + spec.duration_s {
            let part = (at_s - from_s) as f64 / spec.duration_s as f64;
            return f64::from(stage.from_s) + part * f64::from(stage.to_s - stage.from_s);
        }
        from_s += spec.duration_s;
    }
    // A shorter run time on the command line ends a run without stages before some of its actions.
    f64::from(stages.last().map_or(0, |stage| stage.to_s)) + (at_s - from_s) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        plant,
        profile::{Overrides, Plan, Profile},
    };

    const ACTION: &str = "[[action]]\nat = \"30s\"\nscript = \"scripts/backup.sh\"\n";

    /// Parses a profile with stages of 20 s and 40 s and these `actions`, which begin in line 11.
    fn parse(actions: &str) -> Result<Profile, String> {
        let text = format!(
            "name = \"x\"\nsla = \"smoke\"\n[[stage]]\nname = \"a\"\nlasts = \"20s\"\nusers = 1\n\
             [[stage]]\nname = \"b\"\nlasts = \"40s\"\nusers = 1\n{actions}\
             [[class]]\nname = \"HealthCheckUser\"\n"
        );
        Profile::parse(&plant::harness(), "x.toml", &text).map_err(|error| error.to_string())
    }

    #[test]
    fn an_action_is_called_by_its_script_unless_it_has_a_name() {
        let named = ACTION.replace("at =", "name = \"dump\"\nargs = [\"--to\", \"x\"]\nat =");
        let profile = parse(&format!("{ACTION}{named}")).unwrap();
        let found: Vec<_> = profile
            .actions
            .iter()
            .map(|one| (one.name.as_str(), one.at_s, one.args.len()))
            .collect();
        assert_eq!(found, [("backup", 30, 0), ("dump", 30, 2)]);
        assert_eq!([file_name("a/.sh"), file_name("pg_dump")], [".sh", "pg_dump"]);
    }

    #[test]
    fn mistakes_in_actions_have_their_lines() {
        for (actions, line, message) in [
            (ACTION.replace("30s", "soon"), 12, "`at`: `soon` is not a duration"),
            (ACTION.replace("30s", "60s"), 12, "`at` must be before the end of the run, 1m"),
            (ACTION.replace("scripts/backup.sh", ""), 13, "`script` must not be empty"),
            (format!("{ACTION}shell = true\n"), 14, "unknown key `shell`"),
            (format!("{ACTION}{ACTION}"), 14, "duplicate action name `backup`"),
            ("[[action]]\nat = \"1s\"\n".to_owned(), 11, "`script`"),
        ] {
            let error = parse(&actions).unwrap_err();
            let place = format!("x.toml:{line}: ");
            let found = error.lines().any(|one| one.starts_with(&place) && one.contains(message));
            assert!(found, "{actions}: {error}");
        }
        assert!(parse(&ACTION.replace("30s", "59s")).is_ok());
    }

    #[test]
    fn an_action_starts_in_the_same_part_of_the_same_stage() {
        let starts = |actions: &str, overrides: &Overrides| -> Vec<f64> {
            let plan = Plan::new(&parse(actions).unwrap(), overrides).unwrap();
            plan.actions.iter().map(|action| action.at_s).collect()
        };
        let both = format!("{}{}", ACTION, "[[action]]\nat = \"20s\"\nscript = \"a\"\n");
        let with = |time_scale| Overrides { time_scale, ..Overrides::default() };
        assert_eq!(starts(&both, &with(1.0)), [20.0, 30.0], "in the order of their starts");
        assert_eq!(starts(&both, &with(0.1)), [2.0, 3.0]);
        assert_eq!(starts(&both, &with(0.01)), [1.0, 1.25], "stages round up to a second");
        let half = Overrides { run_time: Some(Duration::from_secs(30)), ..with(1.0) };
        assert_eq!(starts(&both, &half), [10.0, 15.0]);
    }

    #[test]
    fn a_run_that_is_cut_short_ends_before_its_action() {
        let text = "name = \"x\"\nsla = \"smoke\"\nusers = 1\nspawn_rate = 1\nrun_time = \"60s\"\n\
                    [[action]]\nat = \"30s\"\nscript = \"a\"\n[[class]]\nname = \"HealthCheckUser\"\n";
        let profile = Profile::parse(&plant::harness(), "x.toml", text).unwrap();
        let run_time = Some(Duration::from_secs(20));
        let plan = Plan::new(&profile, &Overrides { run_time, ..Overrides::default() }).unwrap();
        assert_eq!((plan.actions[0].at_s, plan.seconds()), (30.0, 20));
    }
}
