//! Content codings of responses: what a client accepts (`Accept-Encoding`, RFC 9110, section 12.5.3),
//! and the compression.

mod accepted;

use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

pub use accepted::Accepted;

/// Length from which a body is compressed, in bytes: a shorter one fits into one packet anyway.
pub const MIN_BYTES: usize = 1024;

/// Levels for a body that is sent once, and for one that is kept and sent many times.
const ONCE: Levels = Levels { gzip: 1, zstd: 1 };
const KEPT: Levels = Levels { gzip: 6, zstd: 9 };

struct Levels {
    gzip: u32,
    zstd: i32,
}

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// Returns the name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Returns what the ETag of a compressed response has after the version.
    pub fn etag_suffix(self) -> &'static str {
        match self {
            Self::Gzip => "-gzip",
            Self::Zstd => "-zstd",
        }
    }

    /// Compresses a body that is sent once; `None` if that fails.
    pub fn compress(self, body: &[u8]) -> Option<Bytes> {
        self.compress_with(&ONCE, body)
    }

    fn compress_with(self, levels: &Levels, body: &[u8]) -> Option<Bytes> {
        match self {
            Self::Gzip => {
                let buffer = Vec::with_capacity(body.len() / 4);
                let mut encoder = GzEncoder::new(buffer, Compression::new(levels.gzip));
                // Writing to memory does not fail.
                std::io::Write::write_all(&mut encoder, body).ok()?;
                encoder.finish().ok().map(Bytes::from)
            }
            Self::Zstd => zstd::bulk::compress(body, levels.zstd).ok().map(Bytes::from),
        }
    }
}

/// Returns the version in an entity tag without quotes, which may have the suffix of a coding.
pub fn version_of(tag: &str) -> &str {
    Coding::ALL.iter().find_map(|coding| tag.strip_suffix(coding.etag_suffix())).unwrap_or(tag)
}

/// The compressed forms of a body that is sent many times. Each is made when it is first needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

impl Compressed {
    /// Returns the form, if it has been made.
    pub fn get(&self, coding: Coding) -> Option<Bytes> {
        self.form(coding).get().cloned()
    }

    /// Makes the form of `body`, unless it has been made; `None` if that fails.
    pub fn compress(&self, coding: Coding, body: &[u8]) -> Option<Bytes> {
        if let Some(form) = self.get(coding) {
            return Some(form);
        }
        let form = coding.compress_with(&KEPT, body)?;
        Some(self.form(coding).get_or_init(|| form).clone())
    }

    fn form(&self, coding: Coding) -> &OnceLock<Bytes> {
        match coding {
            Coding::Gzip => &self.gzip,
            Coding::Zstd => &self.zstd,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decompress(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap(),
            Coding::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut text).unwrap(),
        };
        text
    }

    #[test]
    fn compressed_bodies_are_smaller_and_restored() {
        let body = r#"{"id":"0198c0de-0000-7000-8000-000000000000","name":"Lotus"}"#.repeat(1_000);
        for coding in Coding::ALL {
            for body in [body.as_bytes(), b""] {
                for levels in [ONCE, KEPT] {
                    let form = coding.compress_with(&levels, body).unwrap();
                    assert_eq!(decompress(coding, &form), body);
                    assert!(form.len() < body.len() / 10 || body.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_kept_form_is_made_once() {
        let kept = Compressed::default();
        for coding in Coding::ALL {
            assert_eq!(kept.get(coding), None);
            let first = kept.compress(coding, b"a body").unwrap();
            let second = kept.compress(coding, b"another body").unwrap();
            assert_eq!(first.as_ptr(), second.as_ptr());
            assert_eq!(kept.get(coding), Some(first.clone()));
            assert_eq!(decompress(coding, &first), b"a body");
        }
    }

    #[test]
    fn a_version_has_no_suffix() {
        for tag in ["abc", "abc-gzip", "abc-zstd"] {
            assert_eq!(version_of(tag), "abc");
        }
        assert_eq!(version_of("abc-br"), "abc-br");
    }
}
