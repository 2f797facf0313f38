//! The service and a worker, started and killed here.

use std::fs::File;
use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::{Child, Command};

use super::Options;

/// A running program.
pub struct Program {
    command: Command,
    child: Child,
}

/// All of them.
pub struct Programs {
    /// Serves, and works.
    pub service: Program,
    /// Only works.
    pub worker: Program,
}

impl Program {
    /// Starts `plant-api <verb>`, which ends with this process at the latest.
    pub fn start(options: &Options, verb: &str, arguments: &[&str]) -> anyhow::Result<Self> {
        let log = File::create(options.logs.join(format!("{verb}.log")))?;
        let mut command = Command::new(&options.program);
        command.arg(verb).args(arguments).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
        let child = command.spawn().context("cannot start plant-api")?;
        Ok(Self { command, child })
    }

    /// Kills it, without warning.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Starts it again after a kill, with what is left of its log at the end of the same file.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn().context("cannot start plant-api again")?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it had ended by itself")?.to_string();
        ensure!(Command::new("kill").arg(pid).status().await?.success(), "cannot signal it");
        ensure!(self.child.wait().await?.success(), "it ended badly");
        Ok(())
    }
}

impl Programs {
    /// Stops all.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.service.stop().await.context("the service")?;
        self.worker.stop().await.context("the worker")
    }
}
