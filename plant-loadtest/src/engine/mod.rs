//! Engines decide when scenarios run. They know nothing of results: clients hand those to the
//! recorder.

pub mod closed;
pub mod dashboard;
pub mod open;
pub mod pace;
mod users;

pub use crate::client::Destination;
