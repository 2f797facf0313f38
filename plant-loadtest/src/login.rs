//! Credentials of an account, and the request that exchanges them for an access token.

use std::{fmt, time::Duration};

use serde_json::Value;

/// A login: a `POST` request whose JSON response contains an access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Name of the account in messages; logins with the same name are the same account.
    pub account: String,
    /// Path of the request.
    pub path: &'static str,
    /// JSON body of the request. It contains the password, so it is never printed.
    pub body: String,
    /// JSON pointer to the access token in the response.
    pub token: &'static str,
    /// JSON pointer to the lifetime of the token in the response, in seconds.
    pub lifetime: &'static str,
}

impl Login {
    /// Reads token and lifetime from the body of a response. Returns `None` if it contains no token
    /// or no lifetime.
    #[must_use]
    pub fn read_response(&self, body: &[u8]) -> Option<(String, Duration)> {
        let response: Value = serde_json::from_slice(body).ok()?;
        let token = response.pointer(self.token)?.as_str()?.to_owned();
        let lifetime = response.pointer(self.lifetime)?.as_u64()?;
        Some((token, Duration::from_secs(lifetime)))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("account", &self.account).finish_non_exhaustive()
    }
}
