//! The processes of a case: the server, and the load generator under test.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::case::Case;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Interval at which the server's log is checked for the first request.
const LOG_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running server.
pub(super) struct ServerProcess {
    program: PathBuf,
    case: String,
    log: PathBuf,
    child: Child,
    /// Its address, `host:port`.
    address: String,
}

impl ServerProcess {
    /// Starts the server of `case`, which appends to the file `log`.
    pub(super) async fn start(program: &Path, case: &Case, log: &Path) -> io::Result<Self> {
        let (child, address) = spawn(program, case.name, log, "127.0.0.1:0").await?;
        let (program, log) = (program.to_owned(), log.to_owned());
        Ok(Self { program, case: case.name.to_owned(), log, child, address })
    }

    /// Returns the base URL.
    pub(super) fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills the server, and starts it again at the same address after `pause`.
    pub(super) async fn restart(&mut self, pause: Duration) -> io::Result<()> {
        self.child.kill().await?;
        sleep(pause).await;
        (self.child, _) = spawn(&self.program, &self.case, &self.log, &self.address).await?;
        Ok(())
    }

    /// Waits for the first request of the load.
    pub(super) async fn wait_for_load(&self) {
        while std::fs::metadata(&self.log).is_ok_and(|log| log.len() == 0) {
            sleep(LOG_POLL_INTERVAL).await;
        }
    }
}

async fn spawn(
    program: &Path,
    case: &str,
    log: &Path,
    address: &str,
) -> io::Result<(Child, String)> {
    let mut child = Command::new(program)
        .args(["selftest-server", case, "--address", address, "--log"])
        .arg(log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut lines = BufReader::new(stdout).lines();
    let first = timeout(START_TIMEOUT, lines.next_line()).await.map_err(io::Error::from)??;
    let address = first.ok_or_else(|| io::Error::other(format!("the server of {case} ended")))?;
    Ok((child, address))
}

/// The load generator under test.
pub(super) struct GeneratorProcess(Child);

impl GeneratorProcess {
    /// Starts `program` with `arguments` in `folder`; with `pinned` on one CPU.
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        arguments: &[String],
        pinned: bool,
    ) -> io::Result<Self> {
        let mut command = match pinned {
            true => {
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", "0"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .args(arguments)
            // An address for one run; several cases run at once.
            .env_remove("LOAD_TEST_METRICS")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().map(Self)
    }

    /// Sends `signal`. A process that has ended gets none.
    pub(super) fn signal(&self, signal: Signal) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }

    /// Waits for the end of the process and returns what it printed.
    pub(super) async fn output(self) -> io::Result<Output> {
        self.0.wait_with_output().await
    }
}
