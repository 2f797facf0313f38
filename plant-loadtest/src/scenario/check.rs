//! Checks of a service before a run, such as whether its test data exists.

use std::{fmt, pin::Pin, sync::Arc};

use crate::{access::Account, class_options::ClassOptions};

/// A check of the service before a run.
pub struct Check {
    /// Name; a check that several classes name runs once.
    pub name: &'static str,
    /// Checks the service. An error is a message for the user that says what to do.
    pub run: for<'c> fn(&'c mut CheckContext) -> CheckFuture<'c>,
}

/// Result of a check, later.
pub type CheckFuture<'c> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'c>>;

/// What a check has at hand, and what it leaves for later checks and for the users.
#[derive(Debug)]
pub struct CheckContext {
    /// HTTP client whose requests are not recorded.
    pub http: reqwest::Client,
    /// Base URL of the service.
    pub host: String,
    /// Password of the test accounts, if one was given on the command line.
    pub password: Option<String>,
    /// Values of the program's options.
    pub options: ClassOptions,
    /// Accounts that virtual users share, logged in. Empty if the service requires no
    /// authentication.
    pub accounts: Vec<Arc<Account>>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}
