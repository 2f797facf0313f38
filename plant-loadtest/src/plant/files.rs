//! The built-in profiles and SLA files.

use crate::built_in::BuiltInFile;

/// Includes the files with these names of a folder.
macro_rules! built_in {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(BuiltInFile {
            name: $name,
            text: include_str!(concat!("../../", $folder, "/", $name, ".toml")),
        }),*]
    };
}

/// The profiles, in the order in which `list` prints them.
pub(super) const PROFILES: &[BuiltInFile] = built_in!["profiles":
    "demo",
    "smoke",
    "warmup-10",
    "normal-50",
    "peak-100",
    "spike-200",
    "soak-24h",
    "stress",
    "endurance-low",
    "endurance-medium",
    "daily",
    "campaign",
    "throughput",
    "maintenance",
    "upgrade",
    "agents-1000",
    "sla-certify",
    "sla-list",
    "sla-search",
    "sla-certify-saturate",
    "sla-list-saturate",
    "sla-search-saturate",
    "auth",
    "generation",
    "platform",
    "tickets-baseline",
    "tickets-peak",
    "tickets-burst",
    "tickets-endurance",
    "agent-load",
    "agent-stress",
    "agent-resources",
    "agent-throughput",
    "agent-ladder",
];

/// The SLA files.
pub(super) const SLAS: &[BuiltInFile] = built_in!["sla":
    "smoke",
    "plant-backend",
    "stress",
    "endurance-low",
    "endurance-medium",
    "daily",
    "campaign",
    "throughput",
    "maintenance",
    "upgrade",
    "certify",
    "list",
    "search",
    "auth",
    "generation",
    "platform",
    "tickets",
    "tickets-burst",
    "tickets-endurance",
    "agent-load",
    "agent-stress",
    "agent-resources",
    "agent-throughput",
    "agent-ladder",
];
