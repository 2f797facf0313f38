//! Rate limit of API requests per client IP address. A client that has been idle for a minute may
//! send a whole minute's quota in one burst.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Extensions;
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use super::ClientIp;
use crate::error::{Error, Result};

pub const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// Rate limiter with one quota per client. Clones share the state.
#[derive(Clone)]
pub struct RateLimit(Arc<DefaultKeyedRateLimiter<IpAddr>>);

impl RateLimit {
    /// Creates a limiter of `per_minute` requests per client and minute.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self(Arc::new(RateLimiter::keyed(Quota::per_minute(per_minute))))
    }

    /// Counts one request of a client.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if the client has exceeded its quota.
    pub fn check(&self, extensions: &Extensions) -> Result<()> {
        let client = ClientIp::from_extensions(extensions).key();
        self.0.check_key(&client).map_err(|refused| Error::RateLimited {
            what: "too many requests from this IP address",
            retry_after: refused.wait_time_from(self.0.clock().now()),
        })
    }

    /// Removes idle clients at intervals until shutdown.
    pub async fn run_cleanup(self, interval: Duration, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = shutdown.cancelled() => return,
            }
            self.remove_idle_clients();
        }
    }

    /// Removes the clients whose whole quota is available again.
    fn remove_idle_clients(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wait_until;

    fn request_from(address: &str) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(ClientIp(address.parse().unwrap()));
        extensions
    }

    #[test]
    fn each_client_has_its_own_quota() {
        let limit = RateLimit::new(NonZeroU32::new(2).unwrap());
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            limit.check(&request_from(address)).unwrap();
            limit.check(&request_from(address)).unwrap();
            let refused = limit.check(&request_from(address)).unwrap_err();
            let Error::RateLimited { retry_after, .. } = refused else { panic!("{refused}") };
            // One request every 30 s; a margin for a slow test.
            let wait = retry_after.as_secs();
            assert!((10..=30).contains(&wait), "{retry_after:?}");
        }
        // Other addresses of the same clients: IPv4-mapped, and in the same /64 network.
        assert!(limit.check(&request_from("::ffff:192.0.2.1")).is_err());
        assert!(limit.check(&request_from("2001:db8::2")).is_err());
        limit.check(&request_from("2001:db8:0:1::1")).unwrap();
    }

    #[tokio::test]
    async fn idle_clients_are_removed_until_shutdown() {
        let (limit, shutdown) = (RateLimit::new(NonZeroU32::MAX), CancellationToken::new());
        limit.check(&request_from("192.0.2.1")).unwrap();
        let cleanup = limit.clone().run_cleanup(Duration::from_millis(1), shutdown.clone());
        let cleanup = tokio::spawn(cleanup);
        wait_until(async || limit.0.is_empty()).await;
        shutdown.cancel();
        cleanup.await.unwrap();
    }

    #[test]
    fn only_idle_clients_are_removed() {
        let (generous, strict) = (RateLimit::new(NonZeroU32::MAX), RateLimit::new(NonZeroU32::MIN));
        for limit in [&generous, &strict] {
            limit.check(&request_from("192.0.2.1")).unwrap();
            limit.remove_idle_clients();
        }
        assert_eq!((generous.0.len(), strict.0.len()), (0, 1));
        assert!(strict.check(&request_from("192.0.2.1")).is_err());
    }
}
