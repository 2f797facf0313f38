//! Promises about how a service behaves over time: that it does not leak, drift, or stay down.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    timespan,
    toml_source::{Source, Table},
};

/// What was promised about the course of a run; `None` where nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OverTime {
    /// How much memory may grow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_growth: Option<MemoryGrowth>,
    /// How much worse the end of a run may be than its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftLimit>,
    /// That the service is itself again after a spike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryLimit>,
}

/// `[memory_growth]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryGrowth {
    /// In percent of what is used after the warm-up.
    pub below_percent: f64,
    /// Over so many seconds.
    pub over_s: f64,
}

/// `[drift]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftLimit {
    /// P95 and memory of the end, in percent more than at the beginning.
    pub below_percent: f64,
    /// How long beginning and end are, in seconds.
    pub window_s: u32,
}

/// `[recovery]`
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryLimit {
    /// P95 and queue are back when they are within so many percent of before.
    pub within_percent: f64,
}

impl OverTime {
    /// Whether nothing was promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the tables `[memory_growth]`, `[drift]` and `[recovery]`, as far as they are there.
    pub(super) fn read<'a>(source: &mut Source<'a>, root: &mut Table<'a>) -> Self {
        Self {
            memory_growth: table(source, root, "memory_growth", |source, table| {
                let below_percent = table.number(source, "below_percent");
                let over_s = span(source, table, "over").map(f64::from);
                Some(MemoryGrowth { below_percent: below_percent?, over_s: over_s? })
            }),
            drift: table(source, root, "drift", |source, table| {
                let below_percent = table.number(source, "below_percent");
                let window_s = span(source, table, "window");
                Some(DriftLimit { below_percent: below_percent?, window_s: window_s? })
            }),
            recovery: table(source, root, "recovery", |source, table| {
                Some(RecoveryLimit { within_percent: table.number(source, "within_percent")? })
            }),
        }
    }
}

fn table<'a, T>(
    source: &mut Source<'a>,
    root: &mut Table<'a>,
    key: &str,
    read: impl FnOnce(&mut Source<'a>, &mut Table<'a>) -> Option<T>,
) -> Option<T> {
    let mut table = root.table(source, key)?;
    let limit = read(source, &mut table);
    table.finish(source);
    limit
}

fn span<'a>(source: &mut Source<'a>, table: &mut Table<'a>, key: &str) -> Option<u32> {
    let (text, at) = table.text(source, key)?;
    match timespan::parse_positive(&text) {
        Ok(span) => u32::try_from(span.as_secs()).ok(),
        Err(message) => {
            source.mistake(at, format!("`{key}`: {message}"));
            None
        }
    }
}
