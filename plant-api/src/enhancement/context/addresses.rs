//! IP addresses in a text.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Returns the first `max` different IP addresses in a text, in the order of their appearance. An
/// address may be followed by a port or a zone.
pub fn find(text: &str, max: usize) -> Vec<IpAddr> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '[' | ']' | '%');
    let mut addresses = Vec::new();
    for word in text.split(|c| !is_part(c)).filter(|word| word.len() >= 2) {
        if addresses.len() == max {
            break;
        }
        if let Some(address) = parse(word)
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// Parses a word, which may end with the punctuation of a sentence.
fn parse(word: &str) -> Option<IpAddr> {
    // An IPv6 address may end with two colons.
    let without_colon = word.strip_suffix(':').filter(|word| !word.ends_with(':'));
    let word = without_colon.unwrap_or(word).trim_end_matches('.');
    let parsed = word.parse::<IpAddr>().ok();
    let address = parsed.or_else(|| word.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let address = address.or_else(|| word.split_once('%')?.0.trim_matches('[').parse().ok());
    let address = address.or_else(|| word.trim_matches(['[', ']']).parse().ok());
    let address = address.or_else(|| {
        // `10.0.0.5:/export` was split before the slash, `10.0.0.5:port` not.
        let (host, _) = word.split_once(':')?;
        host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    });
    // `::` is punctuation, or part of a name such as `std::io`.
    address.map(|address| address.to_canonical()).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn addresses_are_found_with_ports_zones_and_punctuation() {
        for (text, expected) in [
            ("The server 10.0.0.12 is slow.", vec!["10.0.0.12"]),
            ("From 10.0.0.1, to 10.0.0.2: failed", vec!["10.0.0.1", "10.0.0.2"]),
            ("ping 10.0.0.1. Twice 10.0.0.1", vec!["10.0.0.1"]),
            ("http://10.0.0.1:8080/path", vec!["10.0.0.1"]),
            ("mount 10.0.0.9:/export", vec!["10.0.0.9"]),
            ("2001:db8::1 and [2001:db8::2]:443", vec!["2001:db8::1", "2001:db8::2"]),
            ("http://[2001:DB8::3]/", vec!["2001:db8::3"]),
            ("fe80::1%eth0 flaps", vec!["fe80::1"]),
            ("(::ffff:10.0.0.7)", vec!["10.0.0.7"]),
            ("prefix 2001:db8:: is gone", vec!["2001:db8::"]),
            ("ip=192.168.1.1;", vec!["192.168.1.1"]),
        ] {
            let found: Vec<_> = find(text, 10).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_addresses() {
        for text in [
            "version 1.2.3",
            "10.0.0.256",
            "1.2.3.4.5",
            "at 12:30:45",
            "std::io",
            "a::b::c",
            ":: 0.0.0.0",
            "10,0,0,1",
            "x10.0.0.1",
            "01.02.03.04",
            "",
        ] {
            assert!(find(text, 10).is_empty(), "{text}: {:?}", find(text, 10));
        }
    }

    #[test]
    fn no_more_than_the_maximum_are_found() {
        let text: String = (0..100).map(|n| format!("10.0.0.{n} ")).collect();
        assert_eq!(find(&text, 10).len(), 10);
    }
}
