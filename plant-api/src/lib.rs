//! The Plant backend. [`app`] is the entry point, [`http`] lists the slices (feature folders), and
//! each slice documents itself. The modules below are grouped in layers, highest first; a module
//! may use lower layers only (checked by `tests/layers.rs`).

pub mod app;

pub mod health;
pub mod http;
pub mod seed;
pub mod serve;
pub mod verify;
pub mod worker;

pub mod auth;
pub mod generation;
pub mod plant;

pub mod customers;

pub mod idempotency;
pub mod jobs;

pub mod access;

pub mod etag;
pub mod extract;
pub mod page;
pub mod state;

pub mod cache;
pub mod limit;
pub mod queue;

pub mod clock;
pub mod db;
pub mod metrics;
pub mod passwords;
pub mod redis;
pub mod telemetry;
pub mod token;

pub mod check;
pub mod config;
pub mod error;

#[cfg(test)]
mod testing;
