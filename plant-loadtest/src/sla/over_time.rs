//! Thresholds on the course of a run: memory growth, drift and recovery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metric, Resource};
use crate::duration;

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

/// Limit of memory growth, such as `memory_growth < 20% over 24h`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryGrowthLimit {
    /// Maximum growth in percent of the memory used after the warm-up, which is the first tenth of
    /// the judged span.
    pub below_percent: f64,
    /// Period in which memory may grow by `below_percent`, in seconds.
    pub over_s: f64,
}

/// Limit of drift, such as `drift < 20% window 5m`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftLimit {
    /// Maximum increase of P95 and memory from the first to the last window, in percent.
    pub below_percent: f64,
    /// Length of the first and the last window, in seconds.
    pub window_s: u32,
}

/// Condition for recovery, such as `recovery < 10%`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryLimit {
    /// Maximum excess of P95 and queue depth over their values before the spike, in percent; for the
    /// queue depth at least one job. The service has recovered when both are within it.
    pub within_percent: f64,
}

/// One threshold on the course of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum OverTimeLimit {
    MemoryGrowth(MemoryGrowthLimit),
    Drift(DriftLimit),
    Recovery(RecoveryLimit),
}

impl OverTimeLimit {
    /// Returns the name of the metric in the notation of thresholds.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MemoryGrowth(_) => "memory_growth",
            Self::Drift(_) => "drift",
            Self::Recovery(_) => "recovery",
        }
    }
}

impl OverTimeLimit {
    /// Returns the metric of the service without which the limit cannot be judged; `None` if there is
    /// none.
    pub(super) fn service_metric(self) -> Option<Metric> {
        matches!(self, Self::MemoryGrowth(_)).then_some(Metric::Resource(Resource::Memory))
    }
}

impl OverTime {
    /// Returns whether there are no thresholds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the limits in the notation of thresholds, such as `recovery < 10%`.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let growth = self.memory_growth.map(|limit| {
            let MemoryGrowthLimit { below_percent, over_s } = limit;
            format!("memory_growth < {below_percent}% over {}h", over_s / 3600.0)
        });
        let drift = self.drift.map(|DriftLimit { below_percent, window_s }| {
            let window = duration::format(window_s.into());
            format!("drift < {below_percent}% window {window}")
        });
        let recovery = self.recovery.map(|limit| format!("recovery < {}%", limit.within_percent));
        [growth, drift, recovery].into_iter().flatten().collect()
    }

    /// Adds `limit`. Returns false if there is one for the same metric, which then remains.
    pub(super) fn add(&mut self, limit: OverTimeLimit) -> bool {
        match limit {
            OverTimeLimit::MemoryGrowth(limit) => set(&mut self.memory_growth, limit),
            OverTimeLimit::Drift(limit) => set(&mut self.drift, limit),
            OverTimeLimit::Recovery(limit) => set(&mut self.recovery, limit),
        }
    }
}

fn set<T>(place: &mut Option<T>, limit: T) -> bool {
    let is_free = place.is_none();
    place.get_or_insert(limit);
    is_free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sla::notation::{self, Parsed};

    #[test]
    fn limits_are_described_as_they_are_written() {
        let mut limits = OverTime::default();
        assert!(limits.is_empty());
        let written = ["memory_growth < 20% over 24h", "drift < 2.5% window 5m", "recovery < 10%"];
        for text in written {
            let Ok(Parsed::OverTime(limit)) = notation::parse(text) else { panic!("{text}") };
            assert!(limits.add(limit), "{text}");
            assert!(!limits.is_empty());
        }
        assert_eq!(limits.describe(), written);
    }
}
