//! Thresholds on the course of a run: memory growth, drift and recovery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    duration,
    toml_source::{Source, Table},
};

/// Thresholds on the course of a run; `None` where the SLA has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OverTime {
    /// Limit of memory growth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_growth: Option<MemoryGrowthLimit>,
    /// Limit of the difference between the end of a run and its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftLimit>,
    /// Condition for recovery after a spike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryLimit>,
}

/// Limit of memory growth: the table `[memory_growth]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryGrowthLimit {
    /// Maximum growth in percent of the memory used after the warm-up, which is the first tenth of
    /// the judged span.
    pub below_percent: f64,
    /// Period in which memory may grow by `below_percent`, in seconds.
    pub over_s: f64,
}

/// Limit of drift: the table `[drift]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftLimit {
    /// Maximum increase of P95 and memory from the first to the last window, in percent.
    pub below_percent: f64,
    /// Length of the first and the last window, in seconds.
    pub window_s: u32,
}

/// Condition for recovery: the table `[recovery]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryLimit {
    /// Maximum excess of P95 and queue depth over their values before the spike, in percent; for the
    /// queue depth at least one job. The service has recovered when both are within it.
    pub within_percent: f64,
}

impl OverTime {
    /// Returns whether there are no thresholds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the optional tables `[memory_growth]`, `[drift]` and `[recovery]`.
    pub(super) fn read<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Self {
        Self {
            memory_growth: optional_table(source, root, "memory_growth", |source, table| {
                let below_percent = table.number(source, "below_percent");
                let over_s = duration_s(source, table, "over").map(f64::from);
                Some(MemoryGrowthLimit { below_percent: below_percent?, over_s: over_s? })
            }),
            drift: optional_table(source, root, "drift", |source, table| {
                let below_percent = table.number(source, "below_percent");
                let window_s = duration_s(source, table, "window");
                Some(DriftLimit { below_percent: below_percent?, window_s: window_s? })
            }),
            recovery: optional_table(source, root, "recovery", |source, table| {
                Some(RecoveryLimit { within_percent: table.number(source, "within_percent")? })
            }),
        }
    }
}

fn optional_table<'a, T>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    key: &str,
    read: impl FnOnce(&mut Source<'a>, &mut Table<'a>) -> Option<T>,
) -> Option<T> {
    let mut table = root.table(source, key)?;
    let limit = read(source, &mut table);
    table.report_unknown_keys(source);
    limit
}

/// Reads a required duration in seconds.
fn duration_s<'a>(source: &mut Source<'a>, table: &mut Table<'a>, key: &str) -> Option<u32> {
    let (text, at) = table.string(source, key)?;
    match duration::parse_positive(&text) {
        Ok(duration) => u32::try_from(duration.as_secs()).ok(),
        Err(message) => {
            source.add_error(at, format!("`{key}`: {message}"));
            None
        }
    }
}
