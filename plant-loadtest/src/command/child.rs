//! Runs in a separate process, so that they share no connections or memory.

use std::process::Stdio;

use tokio::process::Command;

use super::{CommandError, Exit};

/// How a run in a separate process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChildExit {
    /// Its exit code; `None` if it was killed.
    pub(super) code: Option<i32>,
    /// Whether Ctrl-C was pressed meanwhile.
    pub(super) interrupted: bool,
}

/// Returns the command `run` of this program with `profile`.
pub(super) fn run_command(profile: &str) -> Result<Command, CommandError> {
    let program = std::env::current_exe().map_err(|error| CommandError::could_not_run(&error))?;
    let mut command = Command::new(program);
    command.args(["run", profile, "--headless"]).stdin(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

/// Runs `command` to its end.
///
/// # Errors
/// When the process cannot be started, or its options are invalid.
pub(super) async fn execute(mut command: Command) -> Result<ChildExit, CommandError> {
    let mut child = command.spawn().map_err(|error| CommandError::could_not_run(&error))?;
    let (status, interrupted) = tokio::select! {
        status = child.wait() => (status, false),
        // The terminal sends Ctrl-C to the child process too, which then writes its report and exits.
        _ = tokio::signal::ctrl_c() => (child.wait().await, true),
    };
    let code = status.map_err(|error| CommandError::could_not_run(&error))?.code();
    if code == Some(Exit::Usage as i32) {
        return Err(CommandError::new(
            Exit::Usage,
            &"invalid options for run; see the message above",
        ));
    }
    Ok(ChildExit { code, interrupted })
}
