//! Starts and kills the service and a worker.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use super::Options;

/// A running `plant-api` process.
pub struct Program {
    command: Command,
    child: Child,
}

/// All processes under test.
pub struct Programs {
    /// `plant-api serve`, which also runs jobs.
    pub service: Program,
    /// `plant-api work`.
    pub worker: Program,
}

impl Program {
    /// Starts `plant-api <subcommand>`. It is killed when the value is dropped.
    pub fn start(options: &Options, subcommand: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = File::create(options.logs.join(format!("{subcommand}.log")))?;
        let mut command = Command::new(&options.program);
        command.arg(subcommand).args(arguments).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
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
    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("the process has already exited")?.to_string();
        ensure!(Command::new("kill").arg(pid).status().await?.success(), "cannot send SIGTERM");
        ensure!(self.child.wait().await?.success(), "the process did not exit with status 0");
        Ok(())
    }
}

impl Programs {
    /// Stops all processes.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.service.stop().await.context("cannot stop the service")?;
        self.worker.stop().await.context("cannot stop the worker")
    }
}
