//! Load-test harness for Plant: simulates users, monitors the service meanwhile, and judges whether
//! all thresholds were met.
//!
//! [`run`] produces an [`outcome::Outcome`], [`verdict`] judges it, [`report`] renders it. The
//! harness accesses the service over HTTP only.

#![warn(missing_docs)]

pub mod access;
pub mod built_in;
pub mod calibrate;
pub mod capacity;
pub mod cli;
pub mod client;
pub mod command;
pub mod compare;
pub mod completion;
pub mod distribution;
pub mod duration;
pub mod engine;
pub mod exporter;
pub mod failure;
pub mod journal;
pub mod load;
pub mod outcome;
pub mod precise_timer;
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
pub mod toml_source;
pub mod verdict;
pub mod work;
