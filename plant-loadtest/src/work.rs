//! Work that the service accepts with a 202 and completes later.

use std::sync::Arc;

use crate::login::Login;

/// A kind of work that the service accepts with a 202 and completes later.
#[derive(Debug)]
pub struct WorkKind {
    /// Name in SLA files and reports.
    pub name: &'static str,
    /// Path and query of its list, newest first. The response is an object with `items` and `next`;
    /// `next` is the value of the `after` parameter for the next page.
    pub list_path: &'static str,
    /// Field of an item with the time of acceptance.
    pub accepted_field: &'static str,
    /// Field of an item with the time when it ended (completed or failed); null before.
    pub ended_field: &'static str,
}

/// One piece of accepted work.
#[derive(Clone, Debug)]
pub struct AcceptedWork {
    /// Kind of work.
    pub kind: &'static WorkKind,
    /// Id that the service returned.
    pub id: String,
    /// Access token of the account that may read it, at the time of acceptance.
    pub token: Arc<str>,
    /// Login of that account, for a new token when this one has expired; `None` if unknown.
    pub login: Option<Arc<Login>>,
    /// First second of the cell in which it was accepted, counted from the start of the run.
    pub second: u32,
}
