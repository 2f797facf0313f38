//! Load-test harness: simulates users of an HTTP service, monitors the service meanwhile, and judges
//! whether all thresholds were met. Only [`plant`] knows a particular service.
//!
//! [`run`] produces an [`outcome::Outcome`], [`verdict`] judges it, [`report`] renders it. The
//! harness accesses the service over HTTP only.
//!
//! # Terms
//!
//! All terms are in `docs/glossary.md`. These are used throughout:
//!
//! - *Virtual user*, or *user*: a simulated client. Its *user class* defines its tasks and think time.
//! - *Profile*: a TOML file with the user classes, the load over time and the SLA. *Plan*: a profile
//!   with the options of the command line applied. *SLA*: a TOML file of thresholds.
//! - *Closed model*: a number of users, each of which waits for its response before the next request.
//!   *Open model*: a rate of *arrivals* that does not depend on the responses; each arrival is a task
//!   that a free user runs.
//! - *Intended start*: when a request should start by the plan; latency counts from here. In the
//!   closed model it is when the request is sent.
//! - *Stage*: a part of a run with one kind of load. *Judged stage*: a stage to which thresholds
//!   apply: not a ramp or warm-up, unless the profile says so. *Judged span*: the time from the start
//!   of the first judged stage to the end of the last one.
//! - *Cell*: the unit of time of a recording: one second, or several in runs of more than two hours.
//! - *Accepted work*: what the service accepts with a 202 and completes later.
//! - *Advisory*: worth looking at, but no proof. Applies to outcomes and comparisons.
//! - *Source documents*: the five documents of the profiles and thresholds: the load tests guide,
//!   the progressive load guide, the performance agent plan, the platform load tests and the ticket
//!   load tests.

#![warn(missing_docs, clippy::print_stderr, clippy::print_stdout)]

pub mod abort;
pub mod access;
pub mod actions;
pub mod built_in;
pub mod calibrate;
pub mod capacity;
pub mod class_options;
pub mod cli;
pub mod client;
pub mod command;
pub mod compare;
pub mod completion;
pub mod console;
pub mod dashboard;
pub mod distribution;
pub mod duration;
pub mod engine;
pub mod exporter;
pub mod failure;
pub mod harness;
pub mod init;
pub mod journal;
pub mod json_pointer;
pub mod live;
pub mod load;
pub mod login;
pub mod merge;
pub mod methods;
pub mod metric_names;
pub mod outcome;
pub mod placeholder;
pub mod plant;
pub mod precise_timer;
pub mod probe;
pub mod profile;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod run;
pub mod scenario;
#[cfg(unix)]
pub mod selftest;
pub mod service;
pub mod service_metrics;
pub mod sla;
pub mod statistics;
pub mod stub;
pub mod suggest;
pub mod target;
pub mod toml_source;
pub mod trace;
pub mod turns;
pub mod verdict;
pub mod work;
pub mod worker;
