//! Settings of the performance agent.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::hosts::{HostRule, parse_rules};
use super::parse_positive;

/// Maximum length of `PLANT_AGENT_ID` in bytes.
const MAX_ID_BYTES: usize = 100;

/// Range of `PLANT_AGENT_INTERVAL_MS`. A collection must end within 3 s, with both readings.
const INTERVAL_MS: std::ops::RangeInclusive<u64> = 100..=2000;

/// Settings of the performance agent, not yet validated.
#[derive(Debug, Clone, Args)]
pub struct AgentOptions {
    /// Id of the performance agent; empty: `performance-agent-` and the port.
    #[arg(long, env = "PLANT_AGENT_ID", default_value = "")]
    pub agent_id: String,

    /// Hosts with Prometheus endpoints that the performance agent may read, as in
    /// `PLANT_DESK_HOSTS`; empty: none, only this service itself.
    #[arg(long, env = "PLANT_AGENT_TARGETS", default_value = "")]
    pub agent_targets: String,

    /// Time between the two readings of a snapshot in milliseconds, 100 to 2000.
    #[arg(long, env = "PLANT_AGENT_INTERVAL_MS", default_value = "1000")]
    pub agent_interval_ms: String,

    /// Rule files of the performance agent, comma-separated, besides the built-in rules `plant`; a file
    /// with that name replaces them.
    #[arg(long, env = "PLANT_AGENT_RULES", default_value = "")]
    pub agent_rules: String,

    /// Number of days that snapshots and analyses are kept.
    #[arg(long, env = "PLANT_AGENT_RETENTION_DAYS", default_value = "7")]
    pub agent_retention_days: String,
}

/// Validated settings of the performance agent; the rule files are not yet read.
#[derive(Debug, Clone, Default)]
pub struct AgentConfig {
    /// `None`: `performance-agent-` and the port.
    pub id: Option<String>,
    /// Hosts whose endpoints may be read.
    pub targets: Vec<HostRule>,
    /// Time between the two readings of a snapshot.
    pub interval: Duration,
    /// Rule files besides the built-in rules.
    pub rules: Vec<PathBuf>,
    /// How long snapshots and analyses are kept.
    pub retention: Duration,
}

pub(super) fn check(options: &AgentOptions, problems: &mut Vec<String>) -> AgentConfig {
    let id = options.agent_id.as_str();
    if id.len() > MAX_ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(format!(
            "PLANT_AGENT_ID: must be at most {MAX_ID_BYTES} visible ASCII characters"
        ));
    }
    let interval = options.agent_interval_ms.trim().parse().ok();
    let interval = interval.filter(|milliseconds| INTERVAL_MS.contains(milliseconds));
    if interval.is_none() {
        problems.push(format!(
            "PLANT_AGENT_INTERVAL_MS: `{}` is not an integer from 100 to 2000",
            options.agent_interval_ms
        ));
    }
    let days: u32 =
        parse_positive("PLANT_AGENT_RETENTION_DAYS", &options.agent_retention_days, problems);
    let files = options.agent_rules.split(',').map(str::trim).filter(|file| !file.is_empty());
    AgentConfig {
        id: (!id.is_empty()).then(|| id.to_owned()),
        targets: parse_rules("PLANT_AGENT_TARGETS", &options.agent_targets, problems),
        interval: Duration::from_millis(interval.unwrap_or_default()),
        rules: files.map(PathBuf::from).collect(),
        retention: Duration::from_secs(u64::from(days) * 24 * 60 * 60),
    }
}
