//! Work that the service accepts with a 202 and completes later.

use std::sync::Arc;

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

/// One piece of accepted work.
#[derive(Clone, Debug)]
pub struct AcceptedWork {
    /// Kind of work.
    pub kind: &'static WorkKind,
    /// Id by which it is found in the list.
    pub id: String,
    /// Where its state is found.
    pub list: WorkList,
    /// First second of the cell in which it was accepted, counted from the start of the run.
    pub second: u32,
}
