//! SHA-256 digests and their hexadecimal text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A SHA-256 digest: lower-case hexadecimal in JSON and text, 32 bytes in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    pub fn sha256(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Returns the lower-case hexadecimal digits as ASCII.
    pub fn to_hex(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }

    /// Parses lower-case hexadecimal digits. Free of branches and tables, so that the compiler
    /// vectorizes it: an export contains two digests per link.
    fn from_hex(text: &[u8; 64]) -> Option<Self> {
        let mut values = [0; 64];
        let mut invalid = false;
        for (value, byte) in values.iter_mut().zip(text) {
            let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'a'));
            *value = if digit < 10 { digit } else { letter.wrapping_add(10) };
            invalid |= digit >= 10 && letter >= 6;
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(values.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        (!invalid).then_some(Self(digest))
    }
}

impl fmt::Display for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Digest32 {
    type Err = &'static str;

    /// Parses exactly what [`fmt::Display`] writes, so that each digest has one text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.as_bytes().try_into().ok().and_then(Self::from_hex);
        digest.ok_or("expected 64 lower-case hexadecimal digits")
    }
}

impl<'de> Deserialize<'de> for Digest32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl sqlx::Type<sqlx::Postgres> for Digest32 {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <[u8] as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Digest32 {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        let bytes = <&[u8] as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
        Ok(Self(bytes.try_into()?))
    }
}
