//! Which IP addresses are public, and a resolver that refuses names of other addresses.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec::IntoIter;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower::Service;

/// Which addresses a name may resolve to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// All addresses.
    Any,
    /// Public addresses only.
    Public,
}

/// A name resolves to an address that is not public.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` resolves to {address}, which is not a public address")]
pub struct InsideAddress {
    pub name: String,
    pub address: IpAddr,
}

/// Resolves names with the system's resolver. The connector connects to the addresses that were
/// checked here and does not resolve the name again.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    system: GaiResolver,
    reach: Reach,
}

impl CheckedResolver {
    pub(super) fn new(reach: Reach) -> Self {
        Self { system: GaiResolver::new(), reach }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Name> for CheckedResolver {
    type Response = IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolved, reach) = (self.system.call(name.clone()), self.reach);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = resolved.await?.collect();
            check(name.as_str(), &addresses, reach)?;
            Ok(addresses.into_iter())
        })
    }
}

/// Refuses all addresses if one is not allowed: no public host has such an address too.
fn check(name: &str, addresses: &[SocketAddr], reach: Reach) -> Result<(), InsideAddress> {
    let inside = addresses.iter().map(SocketAddr::ip).find(|address| !is_public(*address));
    match inside {
        Some(address) if reach == Reach::Public => {
            Err(InsideAddress { name: name.to_owned(), address })
        }
        _ => Ok(()),
    }
}

/// Returns whether an address is one of the public internet, by the special-purpose registries of
/// IANA.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // This network, private, loopback, link-local, and the private ranges of RFC 1918.
        [0 | 10 | 127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..] => true,
        // Carrier-grade NAT.
        [100, 64..=127, ..] => true,
        // Protocol assignments, documentation, 6to4 relays, benchmarks.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [192, 88, 99, _] | [198, 18..=19, ..] => true,
        // Multicast and reserved.
        [224..=255, ..] => true,
        // The host agent of Azure's virtual machines.
        [168, 63, 129, 16] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Loopback, unique local, link-local, multicast and translated IPv4 addresses are outside of
    // 2000::/3.
    let [first, second, ..] = address.segments();
    let special = match first {
        // Protocol assignments (such as Teredo), documentation.
        0x2001 => second < 0x0200 || second == 0x0db8,
        // 6to4 contains an IPv4 address.
        0x2002 => true,
        // Documentation.
        0x3fff => second < 0x1000,
        _ => false,
    };
    first & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_addresses_are_not_public() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn other_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2001:4860:4860::8888",
            "2600::1",
            "2a00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_name_with_an_inside_address_is_refused() {
        let public = "1.1.1.1:443".parse().unwrap();
        let inside = "10.0.0.1:443".parse().unwrap();
        assert_eq!(check("desk", &[public], Reach::Public), Ok(()));
        let refused = check("desk", &[public, inside], Reach::Public).unwrap_err();
        assert_eq!(refused, InsideAddress { name: "desk".into(), address: [10, 0, 0, 1].into() });
        assert_eq!(check("desk", &[inside], Reach::Any), Ok(()));
    }
}
