//! Limits on clients: requests per minute, connections, the sizes of URI and headers, and the bytes
//! of request bodies in memory. `serve`, `http` and `extract` apply them. Limits on fields are in
//! `check::field_limits`.

mod bodies;
mod overload;
mod rate;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

use crate::error::{Error, Result};

pub use bodies::{
    BodyBudget, BodyReservation, MAX_RESERVED_BYTES, MAX_UNRESERVED_BODY_BYTES,
    max_unreserved_body_bytes,
};
pub use overload::Overload;
pub use rate::{CLEANUP_INTERVAL as RATE_LIMIT_CLEANUP_INTERVAL, RateLimit};

/// Maximum length of the URI of a request in bytes.
pub const MAX_URI_BYTES: usize = 8 * 1024;

/// Maximum size of the request line and all headers of a request in bytes. It is also the size of
/// the buffer that each connection reads into, so a larger limit costs memory on every connection.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;

/// Maximum number of headers of a request: the size of hyper's buffer on the stack.
pub const MAX_HEADERS: usize = 100;

/// `Retry-After` of a request that was refused because of other connections or bodies.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// IP address of the client, taken from the TCP connection. Headers such as `X-Forwarded-For` are
/// ignored, because any client can set them.
#[derive(Debug, Clone, Copy)]
pub struct ClientIp(pub IpAddr);

impl ClientIp {
    /// Returns the client of a request.
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Returns the key under which the client is counted: its IPv4 address, or the /64 prefix of
    /// its IPv6 address.
    pub fn key(self) -> IpAddr {
        match self.0 {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => v4.into(),
                None => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
            },
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

/// The address of the connection; the unspecified address if the request has none, as in tests.
impl<S: Send + Sync> FromRequestParts<S> for ClientIp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}

/// Why a connection may only request the operational endpoints. It is an extension of each request
/// of such a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionLimit {
    /// The maximum number of connections is open.
    All,
    /// The maximum number of connections from this address is open.
    Address,
}

impl ConnectionLimit {
    /// Refuses a request whose connection exceeds a limit.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::RateLimited`], by the limit.
    pub fn check(extensions: &Extensions) -> Result<()> {
        match extensions.get() {
            None => Ok(()),
            Some(Self::All) => Err(Error::Unavailable {
                what: "the service (too many connections)",
                retry_after: RETRY_AFTER,
            }),
            Some(Self::Address) => Err(Error::RateLimited {
                what: "too many connections from this IP address",
                retry_after: RETRY_AFTER,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(limit: ConnectionLimit) -> (u16, &'static str) {
        let mut extensions = Extensions::new();
        extensions.insert(limit);
        let error = ConnectionLimit::check(&extensions).unwrap_err();
        (error.status().as_u16(), error.code())
    }

    #[test]
    fn only_connections_over_a_limit_are_refused() {
        ConnectionLimit::check(&Extensions::new()).unwrap();
        assert_eq!(refusal(ConnectionLimit::All), (503, "unavailable"));
        assert_eq!(refusal(ConnectionLimit::Address), (429, "rate-limited"));
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_address_is_ipv4() {
        let key = |address: &str| ClientIp(address.parse().unwrap()).key().to_string();
        assert_eq!(key("192.0.2.1"), "192.0.2.1");
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(key("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::");
    }
}
