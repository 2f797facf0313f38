//! The load engines, which decide when scenarios run. They do not handle results: the clients pass
//! those to the recorder.

pub mod arrival_times;
pub mod closed;
pub mod dashboard;
pub mod open;
mod tasks;

pub use crate::client::ClientConfig;
