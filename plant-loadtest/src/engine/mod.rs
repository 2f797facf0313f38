//! The load engines, which decide when scenarios run. They do not handle results: the clients pass
//! those to the recorder.

pub mod closed;
pub mod dashboard;
pub mod open;
pub mod pace;
mod users;

pub use crate::client::ClientConfig;
