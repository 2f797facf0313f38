//! Secrets at rest, sealed with AES-256-GCM (NIST SP 800-38D).
//!
//! A sealed text is `sealed:<key id>:<base64>`; the base64 part has the nonce, the ciphertext and the
//! tag. The key id names one of the configured keys, so that keys can be rotated. [`Place`] is the
//! associated data: a sealed text that is copied to another row or column cannot be opened there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::Sha256;

use crate::config::Secret;
use crate::error::{Error, Result};

const PREFIX: &str = "sealed:";

/// Number of bytes of a key's id.
const KEY_ID_BYTES: usize = 4;

/// The row and the column that a secret is stored in.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub row: &'a str,
    pub column: &'a str,
}

impl Place<'_> {
    /// Returns the associated data. Neither part contains a NUL.
    fn associated_data(self) -> Aad<Vec<u8>> {
        Aad::from([self.row.as_bytes(), self.column.as_bytes()].join(&0))
    }
}

/// Seals and opens secrets. Clones share the keys.
#[derive(Clone)]
pub struct Sealer(Arc<Keys>);

struct Keys {
    /// Seals and opens.
    current: Key,
    /// Open only.
    old: Vec<Key>,
    random: SystemRandom,
}

struct Key {
    id: String,
    cipher: LessSafeKey,
}

impl Key {
    fn new(secret: &Secret<String>) -> Result<Self> {
        let derive = |purpose: &str| -> Result<[u8; 32]> {
            let mac = Hmac::<Sha256>::new_from_slice(secret.0.as_bytes())
                .map_err(|e| Error::Internal(Box::new(e)))?;
            Ok(mac.chain_update(purpose).finalize().into_bytes().into())
        };
        let key = UnboundKey::new(&AES_256_GCM, &derive("plant: secrets at rest")?)
            .map_err(|_| Error::Internal("an AES-256 key has 32 bytes".into()))?;
        let id = hex::encode(&derive("plant: id of the key of secrets at rest")?[..KEY_ID_BYTES]);
        Ok(Self { id, cipher: LessSafeKey::new(key) })
    }
}

impl Sealer {
    /// Creates a sealer that seals with `current`, and opens what `current` or `old` keys have sealed.
    ///
    /// # Errors
    /// When a key cannot be derived, which is a bug.
    pub fn new(current: &Secret<String>, old: &[Secret<String>]) -> Result<Self> {
        Ok(Self(Arc::new(Keys {
            current: Key::new(current)?,
            old: old.iter().map(Key::new).collect::<Result<_>>()?,
            random: SystemRandom::new(),
        })))
    }

    /// Seals `secret` for `place`, with the current key and a random nonce.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn seal(&self, secret: &Secret<String>, place: Place<'_>) -> Result<String> {
        let key = &self.0.current;
        let failed = |_| Error::Internal("a secret cannot be sealed".into());
        let mut nonce = [0; NONCE_LEN];
        self.0.random.fill(&mut nonce).map_err(failed)?;
        let mut ciphertext = secret.0.as_bytes().to_vec();
        key.cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                place.associated_data(),
                &mut ciphertext,
            )
            .map_err(failed)?;
        let encoded = BASE64.encode([&nonce[..], &ciphertext].concat());
        Ok(format!("{PREFIX}{}:{encoded}", key.id))
    }

    /// Opens what [`Sealer::seal`] has returned for the same `place`.
    ///
    /// # Errors
    /// [`Error::Internal`] when it was sealed with an unknown key or for another place, or was altered.
    pub fn open(&self, sealed: &str, place: Place<'_>) -> Result<Secret<String>> {
        let failed = |reason: &str| {
            let Place { row, column } = place;
            Error::Internal(format!("{column} of {row} cannot be opened: {reason}").into())
        };
        let (id, encoded) = parse(sealed).ok_or_else(|| failed("it is not sealed"))?;
        let key = self.0.key(id).ok_or_else(|| {
            failed("its key is missing; add the former key to PLANT_SECRET_KEYS_OLD")
        })?;
        let altered = || failed("it was altered, or sealed for another row or column");
        let mut bytes = BASE64.decode(encoded).map_err(|_| altered())?;
        let (nonce, ciphertext) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(altered)?;
        let opened = key
            .cipher
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                place.associated_data(),
                ciphertext,
            )
            .map_err(|_| altered())?;
        String::from_utf8(opened.to_vec()).map(Secret).map_err(|_| altered())
    }

    /// Returns whether `text` was sealed with the current key.
    pub fn is_current(&self, text: &str) -> bool {
        parse(text).is_some_and(|(id, _)| id == self.0.current.id)
    }
}

impl Keys {
    fn key(&self, id: &str) -> Option<&Key> {
        std::iter::once(&self.current).chain(&self.old).find(|key| key.id == id)
    }
}

/// Returns whether `text` is a sealed secret, by its form.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Splits a sealed text into the id of its key and the base64 part.
fn parse(sealed: &str) -> Option<(&str, &str)> {
    sealed.strip_prefix(PREFIX)?.split_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { row: "acme", column: "api_key" };

    fn sealer(current: &str, old: &[&str]) -> Sealer {
        let old: Vec<_> = old.iter().map(|key| Secret((*key).to_owned())).collect();
        Sealer::new(&Secret(current.into()), &old).unwrap()
    }

    fn secret(text: &str) -> Secret<String> {
        Secret(text.to_owned())
    }

    #[test]
    fn a_sealed_secret_is_opened_and_does_not_contain_it() {
        let sealer = sealer("one", &[]);
        for text in ["hunter2", "", "पेड़", &"x".repeat(1000)] {
            let sealed = sealer.seal(&secret(text), PLACE).unwrap();
            assert!(is_sealed(&sealed) && sealer.is_current(&sealed));
            assert!(text.is_empty() || !sealed.contains(text));
            assert_eq!(sealer.open(&sealed, PLACE).unwrap(), secret(text));
        }
    }

    #[test]
    fn the_same_secret_is_sealed_differently_each_time() {
        let sealer = sealer("one", &[]);
        let seal = || sealer.seal(&secret("hunter2"), PLACE).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_sealed_secret_is_not_opened_in_another_row_or_column() {
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(&secret("hunter2"), PLACE).unwrap();
        for (row, column) in [("acm", "eapi_key"), ("acme", "secret"), ("rose", "api_key")] {
            assert!(sealer.open(&sealed, Place { row, column }).is_err(), "{row} {column}");
        }
    }

    #[test]
    fn every_altered_character_is_detected() {
        let sealer = sealer("one", &[]);
        let sealed = sealer.seal(&secret("hunter2"), PLACE).unwrap();
        for index in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(sealer.open(&altered, PLACE).is_err(), "{altered}");
        }
        assert!(sealer.open(&sealed[..sealed.len() - 4], PLACE).is_err());
        assert!(sealer.open("sealed:", PLACE).is_err());
    }

    #[test]
    fn an_old_key_opens_but_does_not_seal() {
        let sealed = sealer("one", &[]).seal(&secret("hunter2"), PLACE).unwrap();
        let rotated = sealer("two", &["zero", "one"]);
        assert!(!rotated.is_current(&sealed));
        assert_eq!(rotated.open(&sealed, PLACE).unwrap(), secret("hunter2"));
        let resealed = rotated.seal(&secret("hunter2"), PLACE).unwrap();
        assert!(sealer("two", &[]).open(&resealed, PLACE).is_ok());
        let missing = sealer("two", &[]).open(&sealed, PLACE).unwrap_err().to_string();
        assert!(missing.contains("PLANT_SECRET_KEYS_OLD"), "{missing}");
    }
}
