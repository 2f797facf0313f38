//! How much one client may ask for: a number of requests a minute, by the address that it comes
//! from. Whoever has not asked for a while may ask for a minute's worth at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Extensions;
use governor::clock::Clock;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The address that a request comes from, as the accept loop saw it. Headers that claim another
/// one are not believed: anybody can write them.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Counts what each client asks for. Clones share the counts.
#[derive(Clone)]
pub struct RateLimit(Arc<DefaultKeyedRateLimiter<IpAddr>>);

impl RateLimit {
    /// At most so many requests a minute.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self(Arc::new(RateLimiter::keyed(Quota::per_minute(per_minute))))
    }

    /// Lets one more request in.
    ///
    /// # Errors
    /// [`Error::RateLimited`] when its client has asked for too much.
    pub fn admit(&self, request: &Extensions) -> Result<()> {
        let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let client = request.get::<Peer>().map_or(unknown, |peer| network(peer.0));
        self.0.check_key(&client).map_err(|refused| Error::RateLimited {
            what: "too many requests from this address",
            retry_after: refused.wait_time_from(self.0.clock().now()),
        })
    }

    /// Forgets clients that have not asked for a while, until `stop`.
    pub async fn sweep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                () = stop.cancelled() => return,
            }
            self.0.retain_recent();
            self.0.shrink_to_fit();
        }
    }
}

/// What one client has to itself: an IPv4 address, or the 64 bits of an IPv6 network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(Peer(address.parse().unwrap()));
        extensions
    }

    #[test]
    fn each_client_has_its_own_minute() {
        let limit = RateLimit::new(NonZeroU32::new(2).unwrap());
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            limit.admit(&from(address)).unwrap();
            limit.admit(&from(address)).unwrap();
            let refused = limit.admit(&from(address)).unwrap_err();
            let Error::RateLimited { retry_after, .. } = refused else { panic!("{refused}") };
            assert!(retry_after <= Duration::from_secs(30), "{retry_after:?}");
        }
        // One client in another's clothes.
        assert!(limit.admit(&from("::ffff:192.0.2.1")).is_err());
        assert!(limit.admit(&from("2001:db8::2")).is_err());
        limit.admit(&from("2001:db8:0:1::1")).unwrap();
    }
}
