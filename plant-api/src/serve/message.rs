//! Rules for requests (RFC 9112 and RFC 9113) that hyper does not check.

use axum::http::request::Parts;
use axum::http::{HeaderMap, Version, header};

use crate::error::{Error, Result};
use crate::limit::{MAX_HEADER_BYTES, MAX_HEADERS};

/// Bytes that each header field counts in addition to its name and value (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD_BYTES: usize = 32;

/// Checks an HTTP/1 request. `has_conflict`: whether the head had a `Content-Length` besides a
/// `Transfer-Encoding`.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::NotImplemented`]; the connection must then be closed.
pub fn check_http1(parts: &Parts, has_conflict: bool) -> Result<()> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_11 => return malformed("has no Host header"),
        (Some(_), Some(_)) => return malformed("has more than one Host header"),
        (Some(host), None) if !is_host(host.as_bytes()) => {
            return malformed("has an invalid Host header");
        }
        _ => {}
    }
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        if has_conflict {
            return malformed("has both Content-Length and Transfer-Encoding");
        }
        check_codings(&parts.headers)?;
    }
    Ok(())
}

/// Checks an HTTP/2 request.
///
/// # Errors
/// [`Error::Malformed`] or [`Error::HeadersTooLarge`].
pub fn check_http2(parts: &Parts) -> Result<()> {
    let size = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        name.as_str().len() + value.len() + FIELD_OVERHEAD_BYTES
    };
    if parts.headers.len() > MAX_HEADERS
        || parts.headers.iter().map(size).sum::<usize>() > MAX_HEADER_BYTES
    {
        return Err(Error::HeadersTooLarge {
            max_bytes: MAX_HEADER_BYTES,
            max_headers: MAX_HEADERS,
        });
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(header::HOST).iter().map(header::HeaderValue::as_bytes);
    let host = match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return malformed("has more than one Host header"),
        (Some(authority), Some(host), _) if !authority.eq_ignore_ascii_case(host) => {
            return malformed("has a Host header that is not its :authority");
        }
        (authority, host, _) => authority.or(host),
    };
    match host {
        Some(host) if is_host(host) => Ok(()),
        Some(_) => malformed("has an invalid :authority"),
        None => malformed("has neither :authority nor a Host header"),
    }
}

/// Checks that `chunked` is the only transfer coding. hyper has checked that it is the last one.
fn check_codings(headers: &HeaderMap) -> Result<()> {
    let mut chunked = 0;
    for value in headers.get_all(header::TRANSFER_ENCODING) {
        let codings = value.to_str().unwrap_or("?").split(',').map(str::trim);
        for coding in codings.filter(|coding| !coding.is_empty()) {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(Error::NotImplemented("transfer codings other than chunked"));
            }
            chunked += 1;
        }
    }
    if chunked == 1 { Ok(()) } else { malformed("has the transfer coding chunked twice") }
}

fn malformed(fault: &str) -> Result<()> {
    Err(Error::Malformed(format!("the request {fault}")))
}

/// Returns whether `value` is `host[:port]` with a non-empty host (RFC 3986, section 3.2.2).
fn is_host(value: &[u8]) -> bool {
    let is_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if let Some(rest) = value.strip_prefix(b"[") {
        let Some(end) = rest.iter().position(|b| *b == b']') else { return false };
        let (address, port) = (&rest[..end], &rest[end + 1..]);
        let is_address = !address.is_empty()
            && address.iter().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
        return is_address && (port.is_empty() || port.strip_prefix(b":").is_some_and(is_digits));
    }
    let end = value.iter().position(|b| *b == b':').unwrap_or(value.len());
    let (name, port) = (&value[..end], value.get(end + 1..).unwrap_or_default());
    let is_name_byte = |b: &u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(b);
    !name.is_empty() && name.iter().all(is_name_byte) && is_digits(port)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn status(result: Result<()>) -> u16 {
        result.map_or_else(|error| error.status().as_u16(), |()| 200)
    }

    fn http1(version: Version, headers: &[(&str, &str)], has_conflict: bool) -> u16 {
        let request =
            headers.iter().fold(Request::builder(), |r, (name, value)| r.header(*name, *value));
        status(check_http1(
            &request.version(version).body(()).unwrap().into_parts().0,
            has_conflict,
        ))
    }

    #[test]
    fn http1_requests_have_one_valid_host() {
        for valid in [
            "plant",
            "plant:8001",
            "plant:",
            "127.0.0.1:8001",
            "[::1]:8001",
            "[::1]",
            "a_b.example",
        ] {
            assert_eq!(http1(Version::HTTP_11, &[("host", valid)], false), 200, "{valid}");
        }
        for invalid in [
            "",
            ":8001",
            "a b",
            "a/b",
            "user@plant",
            "plant:x",
            "[::1",
            "[]",
            "[::1]x",
            "[x]",
            "pl\"ant",
        ] {
            for version in [Version::HTTP_10, Version::HTTP_11] {
                assert_eq!(http1(version, &[("host", invalid)], false), 400, "{invalid}");
            }
        }
        assert_eq!(http1(Version::HTTP_11, &[], false), 400);
        assert_eq!(http1(Version::HTTP_10, &[], false), 200);
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(http1(version, &[("host", "plant"), ("host", "plant")], false), 400);
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        let coded = |codings: &[&str], has_conflict| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            let headers: Vec<_> = codings.chain([("host", "plant")]).collect();
            http1(Version::HTTP_11, &headers, has_conflict)
        };
        for valid in ["chunked", "Chunked", ", chunked"] {
            assert_eq!(coded(&[valid], false), 200, "{valid}");
            assert_eq!(coded(&[valid], true), 400, "{valid}");
        }
        for other in ["gzip, chunked", "identity,chunked", "chunked;x=y, chunked"] {
            assert_eq!(coded(&[other], false), 501, "{other}");
        }
        assert_eq!(coded(&["gzip", "chunked"], false), 501);
        assert_eq!(coded(&["chunked, chunked"], false), 400);
        assert_eq!(coded(&["chunked", "chunked"], false), 400);
        // The conflict is that of a later request of the connection.
        assert_eq!(http1(Version::HTTP_11, &[("host", "plant")], true), 200);
    }

    #[test]
    fn http2_requests_have_one_authority() {
        let http2 = |uri: &str, headers: &[(&str, &str)]| {
            let request =
                headers.iter().fold(Request::get(uri), |r, (name, value)| r.header(*name, *value));
            status(check_http2(&request.version(Version::HTTP_2).body(()).unwrap().into_parts().0))
        };
        assert_eq!(http2("http://plant/a", &[]), 200);
        assert_eq!(http2("http://plant/a", &[("host", "Plant")]), 200);
        assert_eq!(http2("/a", &[("host", "plant")]), 200);
        assert_eq!(http2("/a", &[]), 400);
        assert_eq!(http2("/a", &[("host", "")]), 400);
        assert_eq!(http2("http://user@plant/a", &[]), 400);
        assert_eq!(http2("http://plant/a", &[("host", "other")]), 400);
        assert_eq!(http2("http://plant/a", &[("host", "plant"), ("host", "plant")]), 400);
    }

    #[test]
    fn http2_requests_have_the_limits_of_http1_headers() {
        let http2 = |headers: Vec<(&str, &str)>| {
            let request = headers
                .into_iter()
                .fold(Request::get("http://plant/"), |r, (name, value)| r.header(name, value));
            status(check_http2(&request.body(()).unwrap().into_parts().0))
        };
        assert_eq!(http2(vec![("x", "y"); MAX_HEADERS]), 200);
        assert_eq!(http2(vec![("x", "y"); MAX_HEADERS + 1]), 431);
        let value = "y".repeat(MAX_HEADER_BYTES - FIELD_OVERHEAD_BYTES - 1);
        assert_eq!(http2(vec![("x", &value)]), 200);
        assert_eq!(http2(vec![("xx", &value)]), 431);
    }
}
