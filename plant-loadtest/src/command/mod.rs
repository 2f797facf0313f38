//! The commands of `plant-loadtest`.

pub mod calibrate;
pub mod capacity;
mod child;
mod command_line;
pub mod compare;
mod dry_run;
pub mod init;
pub mod list;
pub mod locustfile;
pub mod merge;
pub mod repeat;
pub mod report;
mod report_paths;
pub mod run;
pub mod run_arguments;
#[cfg(unix)]
pub mod selftest;
pub mod stub;
pub mod suite;
pub mod validate;
pub mod worker;

use std::process::ExitCode;

use crate::{
    built_in::FileLoadError,
    report::{WriteError, json::ReadError},
    run::RunError,
    target::TargetError,
    verdict::Grade,
    worker::WorkerError,
};

/// Exit codes of all commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded. For a run: PASS, WARNING or NO VERDICT. For a comparison: no
    /// endpoint is REGRESSED, or the comparison is advisory. For `capacity`: a load met all thresholds.
    Success = 0,
    /// For a run: FAIL, or WARNING with `--strict`. For a comparison: REGRESSED, or INCONCLUSIVE with
    /// `--strict`. For `calibrate`: the measured latency is wrong. For `capacity`: no load met all
    /// thresholds.
    Failed = 1,
    /// The command line, a profile, an SLA file or an outcome is invalid.
    Usage = 2,
    /// A run could not start, or a file could not be written.
    CouldNotRun = 3,
    /// The verdict is INVALID or INSUFFICIENT. For `capacity` and `calibrate`: the load generator
    /// reached its limit.
    Undecided = 4,
}

impl Exit {
    /// Returns the exit code of a run with this `grade`; with `strict` a WARNING is a failure.
    #[must_use]
    pub fn of(grade: Grade, strict: bool) -> Self {
        match grade {
            Grade::Unjudged | Grade::Pass => Self::Success,
            Grade::Warning if strict => Self::Failed,
            Grade::Warning => Self::Success,
            Grade::Fail => Self::Failed,
            Grade::Insufficient | Grade::Invalid => Self::Undecided,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command.
#[derive(Debug)]
pub struct CommandError {
    /// The exit code.
    pub exit: Exit,
    /// The message for the user.
    pub message: String,
}

/// Installs a logger that discards everything, before Goose installs its own: the reports contain
/// what Goose would log.
fn disable_library_logging() {
    let filter = tracing_subscriber::EnvFilter::new("off");
    // Fails only if a logger is already installed, which then stays in place.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

impl CommandError {
    /// Returns the error of a command that could not run.
    pub(crate) fn could_not_run(reason: &impl ToString) -> Self {
        Self::new(Exit::CouldNotRun, reason)
    }

    fn new(exit: Exit, reason: &impl ToString) -> Self {
        Self { exit, message: reason.to_string() }
    }
}

impl From<String> for CommandError {
    fn from(reason: String) -> Self {
        Self::new(Exit::Usage, &reason)
    }
}

impl From<FileLoadError> for CommandError {
    fn from(error: FileLoadError) -> Self {
        Self::new(Exit::Usage, &error.render())
    }
}

impl From<ReadError> for CommandError {
    fn from(error: ReadError) -> Self {
        Self::new(Exit::Usage, &error)
    }
}

impl From<TargetError> for CommandError {
    fn from(error: TargetError) -> Self {
        let exit = match error {
            TargetError::InvalidAddress { .. } | TargetError::RemoteAddress(_) => Exit::Usage,
            TargetError::Unhealthy { .. } | TargetError::NotReady { .. } => Exit::CouldNotRun,
        };
        Self::new(exit, &error)
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Target(error) => error.into(),
            error @ RunError::NotMeasured(_) => Self::new(Exit::Usage, &error),
            error => Self::new(Exit::CouldNotRun, &error),
        }
    }
}

impl From<WorkerError> for CommandError {
    fn from(error: WorkerError) -> Self {
        Self::new(Exit::CouldNotRun, &error)
    }
}

impl From<WriteError> for CommandError {
    fn from(error: WriteError) -> Self {
        Self::new(Exit::CouldNotRun, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_fails_only_when_strict() {
        assert_eq!(Exit::of(Grade::Warning, false), Exit::Success);
        assert_eq!(Exit::of(Grade::Warning, true), Exit::Failed);
        assert_eq!(Exit::of(Grade::Insufficient, false), Exit::Undecided);
    }
}
