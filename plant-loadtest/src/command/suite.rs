//! `suite`: runs several profiles one after the other, each in its own process, and prints one summary.

use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::{
    CommandError, Exit,
    child::{self, ChildExit},
    report_paths,
};
use crate::{
    client::{self, HttpOptions},
    console::{print, print_error},
    duration,
    harness::{Harness, Suite},
    outcome::Outcome,
    profile::Profile,
    report::{json, table},
    scenario::{Check, CheckContext},
    sla::{format_ms, format_percent},
    suggest, target,
    verdict::{Grade, Verdict},
};

/// Timeout for the preparation of a profile, which may delete many rows.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(60);

/// Arguments of `suite`.
#[derive(Debug, Args)]
pub struct SuiteArguments {
    /// Name of the suite (see `list`)
    pub suite: String,

    /// Base URL of the service [default: the local service that the program is made for]
    #[arg(short = 'H', long, value_name = "URL")]
    pub host: Option<String>,

    /// Factor for the durations of all profiles and the pauses between them, for a short trial
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub time_scale: f64,

    /// Pause after each profile but the last [default: that of the suite]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub cool_down: Option<Duration>,

    /// Print the plans and send no requests
    #[arg(long)]
    pub dry_run: bool,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Allow a target that is not a loopback address, such as another machine
    #[arg(long)]
    pub allow_remote: bool,

    /// Options passed to each `run`, following `--`, e.g. --quiet --log-format json
    #[arg(value_name = "RUN OPTIONS", last = true, allow_hyphen_values = true)]
    pub run_options: Vec<String>,
}

/// Result of one profile.
#[derive(Debug)]
enum ProfileResult {
    /// It ran.
    Ran(Box<Ran>),
    /// It could not start, or an earlier one could not.
    NotRun,
}

#[derive(Debug)]
struct Ran {
    outcome: Outcome,
    verdict: Verdict,
}

/// Runs the profiles of a suite and prints a summary.
///
/// # Errors
/// When there is no such suite, or an option is invalid.
pub async fn suite(harness: &Harness, arguments: &SuiteArguments) -> Result<Exit, CommandError> {
    let suite = find(harness, &arguments.suite)?;
    let first = Profile::find(harness, suite.profiles.first().copied().unwrap_or_default())?;
    let service = first.service(harness);
    let host = arguments.host.as_ref().unwrap_or(&service.host);
    let host = target::parse_address(host, arguments.allow_remote).await?;
    if arguments.dry_run {
        for profile in suite.profiles {
            child::execute(run_command(harness, arguments, &host, profile)?).await?;
        }
        return Ok(Exit::Success);
    }
    let results = run_all(harness, arguments, suite, &host).await?;
    print(&summary(suite, &results));
    Ok(exit(&results, arguments.strict))
}

fn find(harness: &Harness, name: &str) -> Result<&'static Suite, CommandError> {
    harness.suites.iter().find(|suite| suite.name == name).ok_or_else(|| {
        let names: Vec<&str> = harness.suites.iter().map(|suite| suite.name).collect();
        let hint = suggest::did_you_mean(name, names.iter().copied(), || {
            format!("; expected one of: {}", names.join(", "))
        });
        format!("there is no suite `{name}`{hint}").into()
    })
}

/// Runs all profiles. After one that could not run, or after Ctrl-C, the others are not run.
async fn run_all(
    harness: &Harness,
    arguments: &SuiteArguments,
    suite: &'static Suite,
    host: &str,
) -> Result<Vec<(&'static str, ProfileResult)>, CommandError> {
    let cool_down = arguments.cool_down.unwrap_or(suite.cool_down).mul_f64(arguments.time_scale);
    let mut results: Vec<(&str, ProfileResult)> = Vec::new();
    let mut stopped = false;
    for (index, profile) in suite.profiles.iter().copied().enumerate() {
        if index > 0 && !stopped {
            let seconds = cool_down.as_secs_f64();
            print_error(&format!("Cool-down of {seconds:.1} s before {profile}"));
            stopped = is_interrupted_during(cool_down).await;
        }
        let result = match stopped {
            true => ProfileResult::NotRun,
            false => {
                let (result, interrupted) =
                    run_one(harness, arguments, suite, host, profile).await?;
                stopped = interrupted || matches!(result, ProfileResult::NotRun);
                result
            }
        };
        results.push((profile, result));
    }
    Ok(results)
}

/// Waits; returns whether Ctrl-C was pressed.
async fn is_interrupted_during(pause: Duration) -> bool {
    tokio::select! {
        () = sleep(pause) => false,
        _ = tokio::signal::ctrl_c() => true,
    }
}

/// Prepares and runs one profile. Returns its result, and whether Ctrl-C was pressed.
async fn run_one(
    harness: &Harness,
    arguments: &SuiteArguments,
    suite: &Suite,
    host: &str,
    profile: &str,
) -> Result<(ProfileResult, bool), CommandError> {
    if let Some(check) = suite.prepare
        && let Err(reason) = prepare(harness, host, profile, check).await
    {
        print_error(&format!("{profile} could not be prepared: {reason}"));
        return Ok((ProfileResult::NotRun, false));
    }
    let ChildExit { code, interrupted } =
        child::execute(run_command(harness, arguments, host, profile)?).await?;
    let has_verdict = matches!(code, Some(0 | 1 | 4));
    if !has_verdict {
        return Ok((ProfileResult::NotRun, interrupted));
    }
    let outcome = json::read(&report_paths::default_outcome(&Profile::find(harness, profile)?))?;
    let verdict = Verdict::judge(&outcome, &outcome.sla);
    Ok((ProfileResult::Ran(Box::new(Ran { outcome, verdict })), interrupted))
}

/// Prepares a profile, if the service is healthy.
async fn prepare(
    harness: &Harness,
    host: &str,
    profile: &str,
    check: &Check,
) -> Result<(), String> {
    let service =
        Profile::find(harness, profile).map_err(|error| error.to_string())?.service(harness);
    let http = client::checks_client(host, PREPARE_TIMEOUT, &HttpOptions::default())
        .map_err(|error| error.to_string())?;
    target::check_health(&http, host, &service).await.map_err(|error| error.to_string())?;
    let mut context = CheckContext {
        http,
        host: host.to_owned(),
        password: None,
        options: harness.option_values.clone(),
        accounts: Vec::new(),
    };
    (check.run)(&mut context).await
}

/// Returns the command that runs `profile`. The values of the program's options are in its environment,
/// where other users of the machine cannot see them.
fn run_command(
    harness: &Harness,
    arguments: &SuiteArguments,
    host: &str,
    profile: &str,
) -> Result<tokio::process::Command, CommandError> {
    let mut command = child::run_command(profile)?;
    command
        .args(["--host", host, "--time-scale", &arguments.time_scale.to_string(), "--json"])
        .arg(report_paths::default_outcome(&Profile::find(harness, profile)?))
        .args(arguments.strict.then_some("--strict"))
        .args(arguments.allow_remote.then_some("--allow-remote"))
        .args(arguments.dry_run.then_some("--dry-run"))
        .args(&arguments.run_options);
    for option in harness.options {
        match harness.option_values.get(option.name) {
            "" => command.env_remove(option.env),
            value => command.env(option.env, value),
        };
    }
    Ok(command)
}

/// Returns the summary: the worst grade, a table with a row for each profile, and the reasons of those
/// that did not pass.
fn summary(suite: &Suite, results: &[(&str, ProfileResult)]) -> String {
    let mut table = table::plain([
        "profile",
        "verdict",
        "requests",
        "errors",
        "P95",
        "accepted work",
        "completed",
        "P95 to completion",
        "drain",
    ]);
    for (profile, result) in results {
        table.add_row(row(profile, result));
    }
    let reasons: String = results
        .iter()
        .filter_map(|(profile, result)| match result {
            ProfileResult::Ran(ran) if ran.verdict.grade != Grade::Pass => {
                Some(format!("{profile}: {}: {}\n", ran.verdict.grade.name(), ran.verdict.reason))
            }
            _ => None,
        })
        .collect();
    let table = table::for_stdout(table);
    format!("\n{}: suite {}\n\n{table}\n\n{reasons}", overall(results), suite.name)
}

/// Returns the worst grade; NOT RUN if it is not worse than that a profile was not run.
fn overall(results: &[(&str, ProfileResult)]) -> &'static str {
    let worst = results.iter().filter_map(|(_, result)| grade(result)).max();
    let is_incomplete = results.iter().any(|(_, result)| grade(result).is_none());
    match worst {
        Some(Grade::Fail) => Grade::Fail.name(),
        _ if is_incomplete => "NOT RUN",
        Some(worst) => worst.name(),
        None => "NOT RUN",
    }
}

fn grade(result: &ProfileResult) -> Option<Grade> {
    match result {
        ProfileResult::Ran(ran) => Some(ran.verdict.grade),
        ProfileResult::NotRun => None,
    }
}

fn row(profile: &str, result: &ProfileResult) -> Vec<String> {
    let ProfileResult::Ran(ran) = result else {
        let mut row = vec!["-".to_owned(); 9];
        (row[0], row[1]) = (profile.to_owned(), "NOT RUN".to_owned());
        return row;
    };
    let Ran { outcome, verdict } = &**ran;
    let judged = outcome.tally_judged();
    let counts = outcome.counts_all();
    let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let errors = percent(counts.errors(), counts.finished());
    let mut row = vec![
        profile.to_owned(),
        verdict.grade.name().to_owned(),
        counts.sent.to_string(),
        optional(errors),
        optional(judged.latency.quantile_ms(0.95).map(format_ms)),
    ];
    // Of several kinds of work the first; the reports of the profile show all.
    let work = outcome.completions.first();
    let times = work.map(|work| work.tally_in(&outcome.judged_span()).latency);
    row.push(optional(work.map(|work| work.accepted().to_string())));
    row.push(optional(work.map(|work| work.tally_all().counts.succeeded.to_string())));
    row.push(optional(times.and_then(|times| times.quantile_ms(0.95)).map(format_ms)));
    row.push(optional(work.and_then(|work| work.drain_s).map(|s| format!("{s:.1} s"))));
    row
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay below 2^53")]
fn percent(count: u64, total: u64) -> Option<String> {
    (total > 0).then(|| format_percent(count as f64 * 100.0 / total as f64))
}

/// Returns the exit code: FAIL before a profile that was not run, before one without a verdict.
fn exit(results: &[(&str, ProfileResult)], strict: bool) -> Exit {
    let exits: Vec<Exit> = results
        .iter()
        .map(|(_, result)| grade(result).map_or(Exit::CouldNotRun, |grade| Exit::of(grade, strict)))
        .collect();
    let order = [Exit::Failed, Exit::CouldNotRun, Exit::Undecided];
    order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn ran(grade: Grade) -> ProfileResult {
        let outcome = example::outcome();
        let verdict = Verdict { grade, ..Verdict::judge(&outcome, &outcome.sla) };
        ProfileResult::Ran(Box::new(Ran { outcome, verdict }))
    }

    fn judged(results: Vec<ProfileResult>) -> (&'static str, Exit) {
        let results: Vec<(&str, ProfileResult)> =
            results.into_iter().map(|result| ("p", result)).collect();
        (overall(&results), exit(&results, false))
    }

    #[test]
    fn the_worst_profile_decides() {
        let pass = || ran(Grade::Pass);
        for (results, expected) in [
            (vec![pass(), pass()], ("PASS", Exit::Success)),
            (vec![pass(), ran(Grade::Warning)], ("WARNING", Exit::Success)),
            (vec![ran(Grade::Insufficient), pass()], ("INSUFFICIENT", Exit::Undecided)),
            (vec![ran(Grade::Invalid), ran(Grade::Fail)], ("FAIL", Exit::Failed)),
            (vec![ran(Grade::Invalid), ProfileResult::NotRun], ("NOT RUN", Exit::CouldNotRun)),
            (vec![ran(Grade::Fail), ProfileResult::NotRun], ("FAIL", Exit::Failed)),
        ] {
            assert_eq!(judged(results), expected);
        }
        let warning = [("p", ran(Grade::Warning))];
        assert_eq!(exit(&warning, true), Exit::Failed, "strict");
    }

    #[test]
    fn the_summary_has_a_row_for_each_profile_and_the_reasons_of_violations() {
        let suite = Suite {
            name: "s",
            description: "",
            profiles: &[],
            cool_down: Duration::ZERO,
            prepare: None,
        };
        let text = summary(&suite, &[("one", ran(Grade::Warning)), ("two", ProfileResult::NotRun)]);
        assert!(text.trim_start().starts_with("NOT RUN: suite s"), "{text}");
        for part in ["one", "two", "NOT RUN", "one: WARNING: "] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
