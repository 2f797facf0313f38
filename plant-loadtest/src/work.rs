//! Work that the service accepts with a 202 and completes later.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::login::Login;

/// A kind of work that the service accepts with a 202 and completes later, and the form of the lists that
/// show its state. An item has a `status`, which is `completed` once it has ended with a result.
#[derive(Debug)]
pub struct WorkKind {
    /// Name in SLA files and reports.
    pub name: &'static str,
    /// How its lists are divided into pages.
    pub pages: Pages,
    /// Field of an item with the id by which accepted work is found.
    pub id_field: &'static str,
    /// Field of an item with the time of acceptance.
    pub accepted_field: &'static str,
    /// Field of an item with the time when it ended (completed or failed); null before.
    pub ended_field: &'static str,
}

/// How a list, newest item first, is divided into pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// An object with `items` and `next`, which is the value of the parameter `after` for the next page;
    /// null on the last one.
    After,
    /// An array. The parameter `offset` is the number of newer items to skip.
    Offset,
}

/// The list in which a piece of work is found.
#[derive(Clone, Debug)]
pub struct WorkList {
    /// Path with a query, to which the parameter of the page is appended.
    pub path: Arc<str>,
    /// Access token of the account that may read it, at the time of acceptance; `None`: none is sent.
    pub token: Option<Arc<str>>,
    /// Login of that account, for a new token when this one has expired; `None` if unknown.
    pub login: Option<Arc<Login>>,
}

/// When a request was sent and answered. Both times of the load generator are by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeTimes {
    /// When the request was sent.
    pub sent_at: DateTime<Utc>,
    /// When the response was complete.
    pub answered_at: DateTime<Utc>,
    /// Header `Date` of the response: the service's clock, in whole seconds. `None` if it has none.
    pub date: Option<DateTime<Utc>>,
}

/// One piece of accepted work.
#[derive(Clone, Debug)]
pub struct AcceptedWork {
    /// Kind of work.
    pub kind: &'static WorkKind,
    /// Id by which it is found in the list.
    pub id: String,
    /// Id that the service gave it, if that is another one. No two items may have the same.
    pub job_id: Option<String>,
    /// Where its state is found.
    pub list: WorkList,
    /// When the request that handed it in was sent and answered.
    pub times: ExchangeTimes,
    /// First second of the cell in which it was accepted, counted from the start of the run; set by the
    /// recorder.
    pub second: u32,
}

impl AcceptedWork {
    /// Returns work of this `kind`, which is found by its `id` in `list`. `times` are those of the response
    /// that accepted it ([`Response::times`](crate::client::Response::times)).
    #[must_use]
    pub fn new(kind: &'static WorkKind, id: String, list: WorkList, times: ExchangeTimes) -> Self {
        Self { kind, id, job_id: None, list, times, second: 0 }
    }

    /// Returns the same work with the id that the service gave it.
    #[must_use]
    pub fn with_job_id(self, job_id: String) -> Self {
        Self { job_id: Some(job_id), ..self }
    }
}
