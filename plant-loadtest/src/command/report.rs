//! `report`: judges a saved outcome, prints the verdict and writes its reports.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{CommandError, Exit};
use crate::{
    console::{
        DEFAULT_WIDTH, has_colors, print_error, print_styled, printable, terminal_width, wrap,
    },
    harness::Harness,
    outcome::Outcome,
    profile::{Profile, ReportPaths},
    report::{
        self, Written, explain,
        terminal::{self, Layout},
    },
    sla::{AllowedNames, Sla},
    verdict::Verdict,
};

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArguments {
    /// Outcome of an earlier run, written by --json
    pub outcome: PathBuf,

    /// Treat a WARNING as a failure (exit 1)
    #[arg(long)]
    pub strict: bool,

    /// Print every threshold with its state, and how the grade follows
    #[arg(long)]
    pub explain: bool,

    /// SLA file and report files.
    #[command(flatten)]
    pub reports: ReportOptions,
}

/// How to print the verdict.
#[derive(Clone, Debug, Default)]
pub(super) struct PrintOptions {
    pub(super) no_color: bool,
    pub(super) strict: bool,
    pub(super) explain: bool,
    pub(super) verbose: bool,
    /// The command that prints the report again.
    pub(super) again: Option<String>,
}

/// The SLA file to judge by and the report files to write.
#[derive(Clone, Debug, Args)]
pub struct ReportOptions {
    /// SLA file with the thresholds: built-in name or path [default: that of the profile or outcome]
    #[arg(long, value_name = "SLA", help_heading = "Verdict")]
    pub sla: Option<String>,

    /// Add a threshold, such as 'p95 < 300ms', 'GET /items: p95 < 100ms', 'class NAME: errors < 1%' or
    /// 'tag NAME: p99 < 1s'; every violation is a FAIL. Repeatable
    #[arg(long = "threshold", value_name = "LIMIT", help_heading = "Verdict")]
    pub thresholds: Vec<String>,

    /// Write the HTML report to this file [default of `run`: that of the profile, else
    /// reports/PROFILE.html]
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub html: Option<PathBuf>,

    /// Outcome of an earlier run, which the HTML report shows beside this one: its lines dashed, with the
    /// changes
    #[arg(long, value_name = "OUTCOME", help_heading = "Reports")]
    pub baseline: Option<PathBuf>,

    /// Write CSV files in Locust's format, named PREFIX_stats.csv, PREFIX_stats_history.csv,
    /// PREFIX_failures.csv and PREFIX_exceptions.csv
    #[arg(long, value_name = "PREFIX", help_heading = "Reports")]
    pub csv: Option<PathBuf>,

    /// Print all measurements, not only the verdict, what is not met, and the endpoints
    #[arg(short = 'v', long, help_heading = "Output")]
    pub verbose: bool,

    /// Disable colored output
    #[arg(long, env = "NO_COLOR", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Output", hide_short_help = true)]
    pub no_color: bool,

    /// Write the outcome (all measurements, input of `report`) to this file [default of `run`: that
    /// of the profile, else reports/PROFILE.outcome.json]
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub json: Option<PathBuf>,

    /// Write JUnit XML to this file, one test case per threshold
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub junit: Option<PathBuf>,

    /// Write a Markdown summary for a pull request to this file
    #[arg(long, value_name = "FILE", help_heading = "Reports")]
    pub markdown: Option<PathBuf>,

    /// Write metrics per API (such as auth) and the result (pass or fail) as JSON to this file, for
    /// CI. Same keys as load_test_metrics.json of the platform load tests (see docs/glossary.md)
    #[arg(long, value_name = "FILE", help_heading = "Reports", hide_short_help = true)]
    pub metrics_json: Option<PathBuf>,
}

/// Judges a saved outcome and writes its reports.
///
/// # Errors
/// When the outcome cannot be read, or a report cannot be written.
pub fn report(harness: &Harness, arguments: &ReportArguments) -> Result<Exit, CommandError> {
    let outcome = report::json::read(&arguments.outcome)?;
    let paths = command_line_paths(arguments.reports.clone());
    let options = PrintOptions {
        no_color: arguments.reports.no_color,
        strict: arguments.strict,
        explain: arguments.explain,
        verbose: arguments.reports.verbose,
        again: Some(report_command(harness, &arguments.outcome)),
    };
    judge_saved(harness, &outcome, &arguments.reports, &paths, &options)
}

/// Judges an outcome by its own thresholds, or those of `reports`, and writes its reports.
///
/// # Errors
/// When the thresholds or the baseline cannot be read, or a report cannot be written.
pub(super) fn judge_saved(
    harness: &Harness,
    outcome: &Outcome,
    reports: &ReportOptions,
    paths: &ReportPaths,
    options: &PrintOptions,
) -> Result<Exit, CommandError> {
    let names = outcome.allowed_names();
    let mut sla = match &reports.sla {
        None => outcome.sla.clone(),
        Some(name) => Sla::find(harness.slas, name, &names)?,
    };
    add_thresholds(&mut sla, &reports.thresholds, &names)?;
    let baseline = read_baseline(reports)?;
    judge_and_report(outcome, &sla, baseline.as_ref(), paths, options)
}

/// Reads the outcome of `--baseline`; `None` if it is not given.
pub(super) fn read_baseline(options: &ReportOptions) -> Result<Option<Outcome>, CommandError> {
    Ok(options.baseline.as_deref().map(report::json::read).transpose()?)
}

/// Returns the thresholds of a run: those of the SLA file `sla` or of the profile, and those of the
/// command line.
pub(super) fn find_thresholds(
    harness: &Harness,
    profile: &Profile,
    names: &AllowedNames<'_>,
    sla: Option<&str>,
    thresholds: &[String],
) -> Result<Sla, CommandError> {
    let mut sla = profile.find_sla(harness, names, sla)?;
    add_thresholds(&mut sla, thresholds, names)?;
    Ok(sla)
}

/// Adds the thresholds of the command line to `sla`.
pub(super) fn add_thresholds(
    sla: &mut Sla,
    thresholds: &[String],
    names: &AllowedNames<'_>,
) -> Result<(), CommandError> {
    let has_none = sla.threshold_count() == 0;
    let problems = thresholds.iter().filter_map(|text| sla.add_inline(text, names).err());
    let problems: Vec<String> = problems.map(|problem| format!("--threshold {problem}")).collect();
    if !problems.is_empty() {
        return Err(problems.join("\n").into());
    }
    if !thresholds.is_empty() {
        sla.name = match has_none {
            true => "thresholds of the command line".to_owned(),
            false => format!("{}, with thresholds of the command line", sla.name),
        };
    }
    Ok(())
}

/// Returns the report paths given on the command line.
pub(super) fn command_line_paths(options: ReportOptions) -> ReportPaths {
    let ReportOptions { html, csv, json, junit, markdown, metrics_json, .. } = options;
    ReportPaths { html, csv, json, junit, markdown, metrics_json }
}

/// Judges `outcome`, writes its reports, the HTML report beside `baseline`, and prints the verdict. If not all reports can be written, the
/// verdict is printed all the same, and the exit code is not that of a success.
pub(super) fn judge_and_report(
    outcome: &Outcome,
    sla: &Sla,
    baseline: Option<&Outcome>,
    paths: &ReportPaths,
    options: &PrintOptions,
) -> Result<Exit, CommandError> {
    let verdict = Verdict::judge(outcome, sla);
    // The files are written first because printing may fail on a closed pipe.
    let Written { files, errors } = report::write(outcome, &verdict, baseline, paths);
    let files: String =
        files.iter().map(|path| format!("{}\n", printable(&path.display().to_string()))).collect();
    let layout = layout(options);
    let mut text = terminal::render(outcome, &verdict, layout);
    if options.explain {
        let explained = explain::render(outcome, &verdict, layout.width);
        let explained = printable(&explained);
        text += "\n\n";
        text += &if layout.wrap { wrap(&explained, layout.width, 2) } else { explained.into() };
    }
    text += &format!("\n\n{files}");
    if let Some(command) = options.again.as_ref().filter(|_| layout.wrap && !options.verbose) {
        text += &format!("More: {command} --verbose");
    }
    print_styled(&text);
    for error in &errors {
        print_error(&error.to_string());
    }
    Ok(match Exit::of(verdict.grade, options.strict) {
        Exit::Success if !errors.is_empty() => Exit::CouldNotRun,
        exit => exit,
    })
}

/// Returns the layout for standard output.
fn layout(options: &PrintOptions) -> Layout {
    let stdout = std::io::stdout();
    let width = terminal_width(&stdout);
    Layout {
        width: width.unwrap_or(DEFAULT_WIDTH),
        wrap: width.is_some(),
        verbose: options.verbose,
        color: has_colors(&stdout, options.no_color),
    }
}

/// Returns the command that judges a saved `outcome`.
pub(super) fn report_command(harness: &Harness, outcome: &Path) -> String {
    format!("{} report {}", harness.name, outcome.display())
}
