//! Detects requests that a task sends with Goose's own HTTP client, such as `user.get("/")`. They
//! would load the service and not be measured.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use super::EngineError;

/// An HTTP client for Goose users that never connects and notes the first base URL that is requested.
#[derive(Clone)]
pub(super) struct PastClient {
    http: reqwest::Client,
    requested: Arc<OnceLock<String>>,
}

impl PastClient {
    /// Returns a client.
    ///
    /// # Errors
    /// When the HTTP client cannot be initialized.
    pub(super) fn new() -> reqwest::Result<Self> {
        let requested: Arc<OnceLock<String>> = Arc::default();
        let note = Arc::clone(&requested);
        // Every request asks for its proxy first. Nothing listens on port 0.
        let proxy = reqwest::Proxy::custom(move |url| {
            if note.set(url.to_string()).is_ok() {
                goose::trigger_killswitch("a task sent a request with Goose's own client");
            }
            Some("http://127.0.0.1:0")
        });
        let http = reqwest::Client::builder()
            .proxy(proxy)
            .timeout(Duration::from_secs(1))
            .tls_certs_only([])
            .build()?;
        Ok(Self { http, requested })
    }

    /// Returns the HTTP client for a Goose user.
    pub(super) fn http_client(&self) -> reqwest::Client {
        self.http.clone()
    }

    /// Checks that no request was sent with it.
    ///
    /// # Errors
    /// When one was.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        match self.requested.get() {
            Some(url) => Err(EngineError::SentPastClient { url: url.clone() }),
            None => Ok(()),
        }
    }
}
