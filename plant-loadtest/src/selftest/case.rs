//! A case of the self-test: a server of known truth, a load, thresholds, and the only right verdict.

use super::behavior::Behavior;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Name of the case.
    pub name: &'static str,
    /// What is true, in one line.
    pub truth: &'static str,
    /// What the server does.
    pub behavior: Behavior,
    /// The load: a profile without its name, description and SLA.
    pub load: &'static str,
    /// The thresholds: an SLA without its name.
    pub sla: &'static str,
    /// Further options of the command.
    pub options: &'static [&'static str],
    /// What happens during the run.
    pub incident: Incident,
    /// The command to check.
    pub command: Command,
    /// The only right verdict.
    pub expected: Expected,
    /// What of the server's log must equal the outcome.
    pub compared: Compared,
    /// Whether the short form of the self-test includes it.
    pub short: bool,
}

/// The command to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `run`.
    Run,
    /// `capacity`, with a single level.
    Capacity,
    /// `compare`, of five runs against a correct server with five against this one.
    Compare,
}

/// What happens during a run, counted in seconds from its first request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Incident {
    /// Nothing.
    None,
    /// The load generator gets SIGINT.
    Interrupt(f64),
    /// The load generator gets SIGTERM.
    Terminate(f64),
    /// The load generator is killed; its partial outcome is judged.
    KillGenerator(f64),
    /// The load generator stands still for some seconds.
    Freeze {
        /// When it is stopped.
        at: f64,
        /// For how long.
        seconds: f64,
    },
    /// The server is killed, and started again after half a second.
    KillServer(f64),
    /// The load generator is pinned to one CPU before it starts.
    PinGenerator,
}

/// The right verdicts: what the first line of the output must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The grades that are right.
    pub grades: &'static [&'static str],
    /// What the first line must name; empty if there is nothing to name.
    pub culprit: &'static str,
    /// What must not be blamed first; empty if nothing is in danger.
    pub innocent: &'static str,
}

/// What of the server's log must equal the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// Requests sent, succeeded and failed, and P50 and P95.
    CountsAndLatency,
    /// Requests sent, succeeded and failed.
    Counts,
    /// Nothing: requests were cut off.
    Nothing,
}
