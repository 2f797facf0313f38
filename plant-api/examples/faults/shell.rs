//! Runs the shell commands that inject and repair faults.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Runs a command with `bash -c` and waits for it.
///
/// # Errors
/// When it cannot be started or exits with another status than 0.
pub async fn run(command: &str) -> anyhow::Result<()> {
    let text = command.to_owned();
    let status = tokio::task::spawn_blocking(move || {
        Command::new("bash").arg("-c").arg(text).stdin(Stdio::null()).status()
    });
    let status = status.await?.with_context(|| format!("cannot run `{command}`"))?;
    ensure!(status.success(), "`{command}` failed: {status}");
    Ok(())
}
