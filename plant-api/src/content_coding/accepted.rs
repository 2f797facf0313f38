//! The header `Accept-Encoding`.

use axum::http::{HeaderMap, header};

use super::Coding;

/// What a client accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The coding to use; `None`: none.
    pub coding: Option<Coding>,
    /// Whether a response may be sent without a coding.
    pub identity: bool,
}

/// Quality values in thousandths; `None`: not listed.
#[derive(Debug, Default)]
struct Qualities {
    gzip: Option<u16>,
    zstd: Option<u16>,
    identity: Option<u16>,
    any: Option<u16>,
}

impl Accepted {
    /// Reads the header. Without it, responses have no coding.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::ACCEPT_ENCODING) {
            return Self { coding: None, identity: true };
        }
        let mut qualities = Qualities::default();
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            value.to_str().unwrap_or_default().split(',').for_each(|item| qualities.add(item));
        }
        qualities.choose()
    }
}

impl Qualities {
    fn add(&mut self, item: &str) {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        let name = name.trim();
        let is = |coding: &str| name.eq_ignore_ascii_case(coding);
        let quality = if is("gzip") || is("x-gzip") {
            &mut self.gzip
        } else if is("zstd") {
            &mut self.zstd
        } else if is("identity") {
            &mut self.identity
        } else if name == "*" {
            &mut self.any
        } else {
            return;
        };
        *quality = Some(parse_quality(parameters));
    }

    /// Returns the coding with the highest quality. Zstandard, which is faster, comes before gzip,
    /// and gzip before none.
    fn choose(&self) -> Accepted {
        let zstd = (self.zstd.or(self.any).unwrap_or(0), Coding::Zstd);
        let gzip = (self.gzip.or(self.any).unwrap_or(0), Coding::Gzip);
        let (quality, coding) = if zstd.0 >= gzip.0 { zstd } else { gzip };
        // Acceptable unless it is excluded, but preferred only if it is listed.
        let is_excluded = self.identity.or(self.any.filter(|any| *any == 0)) == Some(0);
        let is_preferred = quality == 0 || self.identity.is_some_and(|identity| identity > quality);
        Accepted { coding: (!is_preferred).then_some(coding), identity: !is_excluded }
    }
}

/// Parses the parameters `q=0.5` in thousandths; 1 without any, 0 if they are invalid.
fn parse_quality(parameters: &str) -> u16 {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return 1_000;
    }
    let value = parameters.strip_prefix("q=").or_else(|| parameters.strip_prefix("Q="));
    let value = value.and_then(|value| value.trim().parse::<f32>().ok());
    match value {
        Some(value) if (0.0..=1.0).contains(&value) => (value * 1_000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(values: &[&str]) -> (Option<Coding>, bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, value.parse().unwrap());
        }
        let accepted = Accepted::from_headers(&headers);
        (accepted.coding, accepted.identity)
    }

    #[test]
    fn the_coding_with_the_highest_quality_is_used() {
        let (none, gzip, zstd) = (None, Some(Coding::Gzip), Some(Coding::Zstd));
        for (value, coding, identity) in [
            ("gzip", gzip, true),
            ("zstd", zstd, true),
            ("gzip, zstd", zstd, true),
            ("gzip, deflate, br, zstd", zstd, true),
            ("zstd;q=0.5, gzip", gzip, true),
            ("GZIP ; q=0.8, zstd;q=0.800", zstd, true),
            ("x-gzip", gzip, true),
            ("*", zstd, true),
            ("*;q=0.1, zstd;q=0", gzip, true),
            ("br, deflate", none, true),
            ("", none, true),
            ("gzip;q=0", none, true),
            ("identity, gzip;q=0.5", none, true),
            ("identity;q=0.5, gzip;q=0.5", gzip, true),
            ("gzip;q=0.001", gzip, true),
            ("gzip, identity;q=0", gzip, false),
            ("gzip, *;q=0", gzip, false),
            ("*;q=0, identity", none, true),
            ("identity;q=0", none, false),
            ("*;q=0", none, false),
            ("br, identity;q=0", none, false),
            ("gzip;q=2, zstd;q=x", none, true),
            ("gzip;level=9", none, true),
            (", ,gzip,", gzip, true),
        ] {
            assert_eq!(accepted(&[value]), (coding, identity), "{value}");
        }
        assert_eq!(accepted(&[]), (none, true));
        assert_eq!(accepted(&["gzip;q=0.5", "zstd;q=0.1, identity;q=0"]), (gzip, false));
    }
}
