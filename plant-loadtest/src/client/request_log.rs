//! Requests that have finished, for Goose's dashboard.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// A finished request, as Goose's dashboard shows it.
#[derive(Clone, Debug)]
pub struct RequestLogEntry {
    /// Method and route template.
    pub endpoint: &'static str,
    /// Latency, from the intended start to the last byte.
    pub latency: Duration,
    /// Status code; `None` without a response.
    pub status: Option<u16>,
    /// Error message; `None` for a success.
    pub error: Option<String>,
}

/// Finished requests of one user that have not been passed to Goose yet.
pub type RequestLog = Arc<Mutex<Vec<RequestLogEntry>>>;
