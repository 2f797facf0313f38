//! The backend of Plant, a marketplace where customers hire AI agents. [`app`] is the entry point,
//! [`http`] lists the slices (feature folders), and each slice documents itself. Modules are
//! grouped in layers and use lower layers only; `docs/architecture.md` has the order, and
//! `tests/layers.rs` checks it.

pub mod app;

pub mod fake_desk;
pub mod health;
pub mod http;
pub mod seed;
pub mod serve;
pub mod verify;
pub mod worker;

pub mod auth;
pub mod enhancement;
pub mod generation;
pub mod payments;
pub mod performance_agent;
pub mod plant;

pub mod customers;

pub mod jobs;
pub mod write;

pub mod access;

pub mod etag;
pub mod extract;
pub mod page;
pub mod state;

pub mod cache;
pub mod cleanup;
pub mod limit;
pub mod queue;

pub mod tunables;

pub mod clock;
pub mod content_coding;
pub mod crypto;
pub mod db;
pub mod html_page;
pub mod http_client;
pub mod metrics;
pub mod passwords;
pub mod redis;
pub mod sample;
pub mod signature;
pub mod subscription;
pub mod telemetry;
pub mod token;

pub mod traces;

pub mod check;
pub mod config;
pub mod error;

#[cfg(test)]
mod testing;
