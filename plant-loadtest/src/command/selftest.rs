//! `selftest`: checks the verdicts of this program against servers of known truth.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    console::{print, print_error},
    selftest::{
        self,
        case::Case,
        cases::{CASES, NULL},
        runner::{CaseResult, Runner},
        server, summary,
    },
};

/// Arguments of `selftest`.
#[derive(Debug, Args)]
pub struct SelftestArguments {
    /// Run only the most important cases, in less than two minutes, and no null runs
    #[arg(long)]
    pub short: bool,

    /// Run only these cases, separated by commas (see --list)
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Number of short runs against a correct server, of which none may be a FAIL
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub null_runs: u32,

    /// Print the cases and run none
    #[arg(long)]
    pub list: bool,

    /// Do not compare latencies with the servers' logs, on a machine that is busy with other work
    #[arg(long)]
    pub ignore_latency: bool,

    /// Folder for the files of every case: profile, SLA, outcome, report, the server's log
    #[arg(long = "into", value_name = "DIR", default_value = "reports/selftest")]
    pub folder: PathBuf,
}

/// Arguments of `selftest-server`, which `selftest` starts.
#[derive(Debug, Args)]
pub struct SelftestServerArguments {
    /// Name of the case
    pub case: String,

    /// Address to listen on
    #[arg(long)]
    pub address: SocketAddr,

    /// File to which the server appends what it does
    #[arg(long)]
    pub log: PathBuf,
}

/// Runs the cases, and prints a confusion matrix and everything that was wrong.
///
/// # Errors
/// When a case cannot be run.
pub async fn selftest(arguments: &SelftestArguments) -> Result<Exit, CommandError> {
    let cases = selected(arguments)?;
    if arguments.list {
        let lines: Vec<String> =
            cases.iter().map(|case| format!("{:<28} {}", case.name, case.truth)).collect();
        print(&lines.join("\n"));
        return Ok(Exit::Success);
    }
    let could_not_run = |error: std::io::Error| CommandError::new(Exit::CouldNotRun, &error);
    let folder = std::path::absolute(&arguments.folder).map_err(could_not_run)?;
    let runner = Runner {
        program: std::env::current_exe().map_err(could_not_run)?,
        folder,
        compare_latency: !arguments.ignore_latency,
    };
    let mut results = Vec::new();
    for case in cases {
        let started = Instant::now();
        let result = runner.run(case, case.name).await.map_err(could_not_run)?;
        report_progress(&result, started);
        results.push(result);
    }
    let null_runs = match arguments.short || !arguments.only.is_empty() {
        true => 0,
        false => arguments.null_runs,
    };
    for number in 1..=null_runs {
        let started = Instant::now();
        let result =
            runner.run(&NULL, &format!("null-{number:03}")).await.map_err(could_not_run)?;
        report_progress(&result, started);
        results.push(result);
    }
    print(&format!("\n{}\n\n{}", summary::render(&results), runner.folder.display()));
    Ok(if summary::is_right(&results) { Exit::Success } else { Exit::Failed })
}

fn report_progress(result: &CaseResult, started: Instant) {
    let mark = if result.problems.is_empty() { "right" } else { "WRONG" };
    let seconds = started.elapsed().as_secs_f64();
    print_error(&format!(
        "{mark} {:<28} {:>5.1} s  {}",
        result.case.name,
        seconds,
        shorten(&result.first_line)
    ));
}

fn shorten(line: &str) -> String {
    const MAX_CHARS: usize = 100;
    match line.chars().count() > MAX_CHARS {
        true => line.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
        false => line.to_owned(),
    }
}

fn selected(arguments: &SelftestArguments) -> Result<Vec<&'static Case>, CommandError> {
    if arguments.only.is_empty() {
        return Ok(CASES.iter().filter(|case| case.short || !arguments.short).collect());
    }
    let find = |name: &String| {
        selftest::find(name).ok_or_else(|| {
            CommandError::from(format!("unknown case `{name}`; --list prints all cases"))
        })
    };
    arguments.only.iter().map(find).collect()
}

/// Serves a case until the process is killed.
///
/// # Errors
/// When there is no such case, or the address is in use.
pub async fn serve(arguments: &SelftestServerArguments) -> Result<Exit, CommandError> {
    let Some(case) = selftest::find(&arguments.case) else {
        return Err(format!("unknown case `{}`", arguments.case).into());
    };
    let log: &Path = &arguments.log;
    server::serve(case.behavior, arguments.address, log, |address| print(&address.to_string()))
        .await
        .map_err(|error| CommandError::new(Exit::CouldNotRun, &error))?;
    Ok(Exit::Success)
}
