//! Runs the actions of a profile: programs that change or burden the service during its load, such as a
//! backup or an upgrade.
//!
//! Each runs in a process group of its own, without a terminal. Its environment has the variables
//! `LOAD_TEST_HOST`, the base URL, and `LOAD_TEST_TIME_SCALE`, the factor for durations, so that a script
//! can last as long as the scaled load.

use std::{
    collections::VecDeque,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{sleep, sleep_until, timeout, timeout_at},
};

use crate::{load::Action, outcome::ActionResult, profile::Plan, recorder::Recorder};

/// Number of lines of an action's output that are kept.
const KEPT_LINES: usize = 20;

/// Number of characters of such a line that are kept.
const KEPT_CHARS: usize = 300;

/// Interval at which the start of the first user is awaited.
const START_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How long an action that outlasts the load may take to end, unless the run was interrupted.
pub const OUTLAST_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an action may take to end after SIGTERM, such as to undo what it has done.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the output of an action that has ended is read, if a process that it has left behind holds it
/// open.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

/// Error of an action that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(
    "action {name}: {script} is no file; paths of actions are relative to the working directory"
)]
pub struct ActionError {
    name: String,
    script: String,
}

/// Checks before the load that the programs of `actions` exist.
///
/// # Errors
/// When one does not.
pub fn check(actions: &[Action]) -> Result<(), ActionError> {
    let is_missing =
        |action: &&Action| action.script.contains('/') && !Path::new(&action.script).is_file();
    match actions.iter().find(is_missing) {
        None => Ok(()),
        Some(Action { name, script, .. }) => {
            Err(ActionError { name: name.clone(), script: script.clone() })
        }
    }
}

/// What actions have to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Start at their times.
    Load,
    /// End; no more are started.
    AfterLoad,
    /// End at once.
    Terminated,
}

/// Runs the actions of a run in background tasks.
#[derive(Debug)]
pub struct ActionRunner {
    tasks: Vec<JoinHandle<Option<ActionResult>>>,
    phase: watch::Sender<Phase>,
}

impl ActionRunner {
    /// Starts to wait for the times of the actions of `plan`, counted from the first user on.
    #[must_use]
    pub fn start(plan: &Plan, host: &str, recorder: &Arc<Recorder>) -> Self {
        let (phase, phases) = watch::channel(Phase::Load);
        let tasks = plan.actions.iter().map(|action| {
            let environment = [
                ("LOAD_TEST_HOST", host.to_owned()),
                ("LOAD_TEST_TIME_SCALE", plan.time_scale.to_string()),
            ];
            let task = run(action.clone(), environment, Arc::clone(recorder), phases.clone());
            tokio::spawn(task)
        });
        Self { tasks: tasks.collect(), phase }
    }

    /// Waits until the actions that still run have ended, for `wait_time`. Then it ends them with SIGTERM, and
    /// SIGKILL. Returns the results of those that were started.
    pub async fn stop(self, wait_time: Duration) -> Vec<ActionResult> {
        let _ = self.phase.send(Phase::AfterLoad);
        let deadline = Instant::now() + wait_time;
        let mut results = Vec::new();
        for mut task in self.tasks {
            let ended = match timeout_at(deadline.into(), &mut task).await {
                Ok(ended) => ended,
                Err(_) => {
                    let _ = self.phase.send(Phase::Terminated);
                    task.await
                }
            };
            results.extend(ended.ok().flatten());
        }
        results
    }
}

/// Runs `action` at its time. Returns `None` if the load ended before.
async fn run(
    action: Action,
    environment: [(&'static str, String); 2],
    recorder: Arc<Recorder>,
    mut phase: watch::Receiver<Phase>,
) -> Option<ActionResult> {
    let at = async {
        let start = loop {
            match recorder.started_at() {
                Some(start) => break start,
                None => sleep(START_POLL_INTERVAL).await,
            }
        };
        sleep_until((start + Duration::from_secs_f64(action.at_s)).into()).await;
        start
    };
    let start = tokio::select! {
        biased;
        _ = phase.wait_for(|phase| *phase != Phase::Load) => return None,
        start = at => start,
    };
    let began = Instant::now();
    let output = Arc::new(Mutex::new(VecDeque::new()));
    let mut command = Command::new(&action.script);
    command.args(&action.args).envs(environment).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let (exit_code, problem) = match command.spawn() {
        Err(error) => (None, Some(format!("could not be started: {error}"))),
        Ok(mut child) => {
            let readers = [
                child.stdout.take().map(|pipe| keep_lines(pipe, Arc::clone(&output))),
                child.stderr.take().map(|pipe| keep_lines(pipe, Arc::clone(&output))),
            ];
            let ended = wait(&mut child, &mut phase).await;
            for mut reader in readers.into_iter().flatten() {
                if timeout(OUTPUT_TIMEOUT, &mut reader).await.is_err() {
                    reader.abort();
                }
            }
            ended
        }
    };
    let output = output.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    Some(ActionResult {
        name: action.name,
        started_s: began.duration_since(start).as_secs_f64(),
        duration_s: began.elapsed().as_secs_f64(),
        exit_code,
        problem,
        output,
    })
}

/// Waits until `child` has ended, or ends it. Returns its exit code and why it failed.
async fn wait(
    child: &mut Child,
    phase: &mut watch::Receiver<Phase>,
) -> (Option<i32>, Option<String>) {
    let ended = tokio::select! {
        biased;
        status = child.wait() => Some(status),
        _ = phase.wait_for(|phase| *phase == Phase::Terminated) => None,
    };
    match ended {
        Some(Ok(status)) => (status.code(), describe(status)),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => {
            terminate(child);
            if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
            let code = child.wait().await.ok().and_then(|status| status.code());
            (code, Some("it had not ended after the load".into()))
        }
    }
}

/// Describes why a process failed; `None` if it did not.
fn describe(status: ExitStatus) -> Option<String> {
    match status.code() {
        Some(0) => None,
        Some(code) => Some(format!("exit code {code}")),
        None => Some(status.to_string()),
    }
}

/// Sends SIGTERM to the process group of `child`.
fn terminate(child: &Child) {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// Keeps the last lines of `pipe` in `output`.
fn keep_lines(
    pipe: impl AsyncRead + Unpin + Send + 'static,
    output: Arc<Mutex<VecDeque<String>>>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            let line: String =
                line.trim_end().chars().filter(|c| !c.is_control()).take(KEPT_CHARS).collect();
            let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
            if !line.is_empty() {
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plant,
        profile::{Overrides, Profile},
    };

    /// Starts an action that runs `script` one second after the first user, who started `ago` seconds ago.
    fn start(script: &str, ago: u64) -> ActionRunner {
        let text = format!(
            "name = \"x\"\nsla = \"smoke\"\nusers = 1\nspawn_rate = 1\nrun_time = \"60s\"\n\
             [[action]]\nat = \"1s\"\nname = \"act\"\nscript = \"sh\"\nargs = [\"-c\", '{script}']\n\
             [[class]]\nname = \"HealthCheckUser\"\n"
        );
        let profile = Profile::parse(&plant::harness(), "x.toml", &text).unwrap();
        let plan = Plan::new(&profile, &Overrides::default()).unwrap();
        let recorder = Arc::new(Recorder::new(1));
        recorder.start(Instant::now().checked_sub(Duration::from_secs(ago)).unwrap());
        ActionRunner::start(&plan, "http://127.0.0.1:1", &recorder)
    }

    /// Waits until the action has written a line, in a file that it gets as its name.
    async fn wait_for(path: &Path) {
        while !path.exists() {
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn an_action_that_is_terminated_can_undo_what_it_did_and_has_failed() {
        let marker = std::env::temp_dir().join(format!("action-{}", std::process::id()));
        let script = format!(
            "trap \"echo undone; exit 3\" TERM; touch {}; while :; do sleep 0.1; done",
            marker.display()
        );
        let runner = start(&script, 2);
        wait_for(&marker).await;
        let results = runner.stop(Duration::ZERO).await;
        std::fs::remove_file(&marker).unwrap();
        let result = &results[0];
        assert_eq!((result.name.as_str(), result.exit_code), ("act", Some(3)));
        assert_eq!(result.problem.as_deref(), Some("it had not ended after the load"));
        assert_eq!(result.output.last().map(String::as_str), Some("undone"));
    }

    #[tokio::test]
    async fn an_action_whose_time_has_not_come_is_not_started() {
        assert_eq!(start("true", 0).stop(Duration::ZERO).await, []);
    }

    #[tokio::test]
    async fn only_the_last_lines_of_the_output_are_kept() {
        let marker = std::env::temp_dir().join(format!("action-lines-{}", std::process::id()));
        let runner = start(&format!("seq 1 50; touch {}", marker.display()), 2);
        wait_for(&marker).await;
        let results = runner.stop(OUTLAST_TIMEOUT).await;
        std::fs::remove_file(&marker).unwrap();
        let output = &results[0].output;
        assert_eq!((output.len(), output[0].as_str(), output[19].as_str()), (20, "31", "50"));
    }
}
