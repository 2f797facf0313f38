//! The load engines, one for each load model, which start the tasks of the user classes. They do not
//! handle results: the clients pass those to the recorder.

pub mod arrival_times;
pub mod closed;
pub mod dashboard;
pub mod open;
mod tasks;

pub use crate::client::ClientConfig;
