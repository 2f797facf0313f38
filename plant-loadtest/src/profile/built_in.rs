//! The profiles and SLA files that the program carries with it.

/// A data file compiled into the program.
#[derive(Clone, Copy, Debug)]
pub struct DataFile {
    /// What users call it: the file's name without `.toml`.
    pub name: &'static str,
    /// Its TOML text.
    pub text: &'static str,
}

/// Every profile, in the order in which `list` shows them.
pub const PROFILES: [DataFile; 6] = [
    DataFile { name: "smoke", text: include_str!("../../profiles/smoke.toml") },
    DataFile { name: "warmup-10", text: include_str!("../../profiles/warmup-10.toml") },
    DataFile { name: "normal-50", text: include_str!("../../profiles/normal-50.toml") },
    DataFile { name: "peak-100", text: include_str!("../../profiles/peak-100.toml") },
    DataFile { name: "spike-200", text: include_str!("../../profiles/spike-200.toml") },
    DataFile { name: "sla-certify", text: include_str!("../../profiles/sla-certify.toml") },
];

/// Every SLA file.
pub const SLAS: [DataFile; 3] = [
    DataFile { name: "smoke", text: include_str!("../../sla/smoke.toml") },
    DataFile { name: "plant-backend", text: include_str!("../../sla/plant-backend.toml") },
    DataFile { name: "certify", text: include_str!("../../sla/certify.toml") },
];
