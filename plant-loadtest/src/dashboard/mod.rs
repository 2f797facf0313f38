//! The dashboard of `--ui`: a live page with the thresholds and the usage of the service, which stops a
//! run, starts it again and changes its users.

mod server;
mod view;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::{
    net::TcpListener,
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};
use uuid::Uuid;

use crate::{
    engine::{control::UserControl, interrupted},
    live::LiveOutcome,
    outcome::Outcome,
    service::is_loopback_name,
    verdict::Verdict,
};

/// Shortest time from one update of the values to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many times longer than an update the time until the next one is at least, so that long runs do
/// not spend more than a twentieth of a CPU on it.
const PAUSE_FACTOR: u32 = 20;

/// A dashboard that is being served, until it is dropped.
#[derive(Debug)]
pub struct Dashboard {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
    url: String,
}

/// What follows a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The same run once more.
    Start,
    /// The end of the program.
    Quit,
}

/// What the server and the run share.
#[derive(Debug)]
struct Shared {
    /// Access token; `None` if only this machine can connect.
    token: Option<String>,
    state: Mutex<State>,
    /// Notified when [`State::next`] is set.
    decided: Notify,
}

/// The state of the dashboard.
#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// The values of the page.
    view: Value,
    /// Changes the users of the run in progress; `None` if they cannot be changed.
    users: Option<UserControl>,
    /// The HTML report of the last run.
    report: Option<PathBuf>,
    /// Whether Stop was pressed in the last run.
    stopped: bool,
    next: Option<Next>,
}

/// What the program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It checks the target.
    #[default]
    Starting,
    Running,
    /// The load has ended; the service and accepted work are waited for.
    Ending,
    /// The verdict is there.
    Finished,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Finished => "finished",
        }
    }
}

impl Dashboard {
    /// Starts to serve the dashboard on `host`, a name or an IP address. Access from another machine
    /// needs the token in the URL.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(host: &str, port: u16) -> io::Result<Self> {
        let bare = host.trim_matches(['[', ']']);
        let listener = TcpListener::bind((bare, port)).await?;
        let address = listener.local_addr()?;
        let token = (!is_loopback_name(bare)).then(|| Uuid::new_v4().simple().to_string());
        let query = token.as_ref().map(|token| format!("?token={token}")).unwrap_or_default();
        let shown = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        let url = format!("http://{shown}:{}/{query}", address.port());
        let shared = Arc::new(Shared { token, state: Mutex::default(), decided: Notify::new() });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { shared, server, url })
    }

    /// Returns the URL of the page, token included.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shows a run in progress until the returned task is aborted. `users` changes its users.
    #[must_use]
    pub fn show(&self, live: LiveOutcome, users: Option<UserControl>) -> JoinHandle<()> {
        let mut state = self.shared.lock();
        *state = State { phase: Phase::Running, users, ..State::default() };
        drop(state);
        tokio::spawn(update(Arc::clone(&self.shared), live))
    }

    /// Shows that the load has ended.
    pub fn load_ended(&self) {
        let mut state = self.shared.lock();
        state.phase = Phase::Ending;
        state.users = None;
    }

    /// Shows the verdict, with a link to its HTML `report`.
    pub fn finish(&self, outcome: &Outcome, verdict: &Verdict, report: Option<PathBuf>) {
        // The last second is not complete.
        let complete = Outcome { duration_s: outcome.duration_s.floor(), ..outcome.clone() };
        let mut view = view::render(&complete, verdict, None);
        view["verdict"] = json!({ "grade": verdict.grade.name(), "reason": verdict.reason });
        let mut state = self.shared.lock();
        let stopped = state.stopped;
        *state = State { phase: Phase::Finished, view, report, stopped, ..State::default() };
    }

    /// Returns whether Stop was pressed in the last run.
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        self.shared.lock().stopped
    }

    /// Shows why a run could not be started.
    pub fn fail(&self, reason: &str) {
        let view = json!({ "verdict": { "grade": "NOT RUN", "reason": reason } });
        *self.shared.lock() = State { phase: Phase::Finished, view, ..State::default() };
    }

    /// Waits for Start or Quit on the page, or for Ctrl-C or SIGTERM.
    pub async fn next(&self) -> Next {
        // Set by Stop.
        goose::reset_killswitch();
        let decided = async {
            loop {
                let notified = self.shared.decided.notified();
                if let Some(next) = self.shared.lock().next.take() {
                    return next;
                }
                notified.await;
            }
        };
        let next = tokio::select! {
            next = decided => next,
            // By Ctrl-C, whose handler the run before has set.
            () = interrupted() => Next::Quit,
            () = terminated() => Next::Quit,
        };
        if next == Next::Start {
            *self.shared.lock() = State::default();
        }
        next
    }

    /// Waits for Ctrl-C while a run that was started again checks its target. Later the run handles it.
    pub async fn interrupted_while_starting(&self) {
        interrupted().await;
        if self.shared.lock().phase == Phase::Starting {
            return;
        }
        std::future::pending::<()>().await;
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what follows the run, if it has finished.
    fn decide(&self, next: Next) -> bool {
        let mut state = self.lock();
        let can_decide = state.phase == Phase::Finished;
        if can_decide {
            state.next = Some(next);
            self.decided.notify_one();
        }
        can_decide
    }

    /// Returns the values of the page as JSON.
    fn data(&self) -> String {
        let state = self.lock();
        let mut data = state.view.clone();
        data["phase"] = state.phase.name().into();
        data["can_change_users"] = state.users.is_some().into();
        data["has_report"] = state.report.is_some().into();
        data.to_string()
    }
}

/// Waits for SIGTERM. The run before has replaced its default action.
async fn terminated() {
    #[cfg(unix)]
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        terminate.recv().await;
        return;
    }
    std::future::pending::<()>().await;
}

/// Updates the values of the page about once a second.
async fn update(shared: Arc<Shared>, mut live: LiveOutcome) {
    loop {
        let began = Instant::now();
        let updated = spawn_blocking(move || {
            let view = live.elapsed().map(|elapsed| {
                // The current second is not complete.
                live.update(Duration::from_secs(elapsed.as_secs()));
                let outcome = live.outcome();
                let verdict = Verdict::judge(outcome, &outcome.sla);
                view::render(outcome, &verdict, Some(live.users()))
            });
            (live, view)
        });
        let Ok((same, view)) = updated.await else { return };
        live = same;
        if let Some(view) = view {
            shared.lock().view = view;
        }
        sleep(INTERVAL.max(began.elapsed() * PAUSE_FACTOR)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[tokio::test]
    async fn the_course_of_a_run_that_has_ended_has_no_incomplete_second() {
        let dashboard = Dashboard::start("127.0.0.1", 0).await.unwrap();
        let outcome = Outcome { duration_s: 20.9, ..example::outcome() };
        dashboard.finish(&outcome, &Verdict::judge(&outcome, &outcome.sla), None);
        let state = dashboard.shared.lock();
        let chart = &state.view["charts"][0];
        assert_eq!(chart["title"], "Requests per second");
        let last = chart["lines"].as_array().unwrap().last().unwrap().as_array().unwrap();
        assert_eq!(last.last().unwrap()[0], 19.5);
        assert_eq!(state.view["elapsed_s"], 20.0);
    }
}
