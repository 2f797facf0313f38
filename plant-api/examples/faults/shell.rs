//! Breaking and mending: shell commands that the script hands over.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

/// Runs a command to its end.
pub async fn run(command: &str) -> anyhow::Result<()> {
    let text = command.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        Command::new("bash").arg("-c").arg(text).stdin(Stdio::null()).status()
    });
    let status = done.await?.with_context(|| format!("cannot run `{command}`"))?;
    ensure!(status.success(), "`{command}` failed: {status}");
    Ok(())
}
