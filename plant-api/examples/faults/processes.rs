//! Starts and kills `plant-api`.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

/// A running `plant-api` process.
pub struct Program {
    command: Command,
    child: Child,
}

impl Program {
    /// Starts the executable `program`, which logs to the file `log`. It is killed when the value
    /// is dropped.
    pub fn start(program: &Path, log: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = File::create(log)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().context("cannot start plant-api")?;
        Ok(Self { command, child })
    }

    /// Kills the process with SIGKILL.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts the process again after a kill. It appends to the same log file.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn().context("cannot restart plant-api")?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the process to exit.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("the process has already exited")?.to_string();
        ensure!(Command::new("kill").arg(pid).status().await?.success(), "cannot send SIGTERM");
        ensure!(self.child.wait().await?.success(), "the process did not exit with status 0");
        Ok(())
    }
}
