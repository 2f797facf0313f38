//! The Plant backend. Read it from the top: [`app`] composes all below, [`http`] shows every
//! slice, and each slice tells its own story. A module uses lower rungs only (`tests/layers.rs`).

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
