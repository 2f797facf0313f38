//! Runs documented user journeys against Plant, watches it meanwhile, and answers one question:
//! did it hold its promises?
//!
//! A pipeline around one value: [`run`] makes an [`outcome::Outcome`], [`verdict`] judges it,
//! [`report`] draws it. The harness knows the service by HTTP alone.

pub mod access;
pub mod alarm;
pub mod calibrate;
pub mod capacity;
pub mod cli;
pub mod client;
pub mod command;
pub mod compare;
pub mod completion;
pub mod distribution;
pub mod engine;
pub mod exporter;
pub mod journal;
pub mod outcome;
pub mod probe;
pub mod profile;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod run;
pub mod scenarios;
pub mod sla;
pub mod statistics;
pub mod stub;
pub mod target;
pub mod timespan;
pub mod toml_source;
pub mod verdict;
