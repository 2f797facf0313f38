//! Signatures of webhook requests: `t=<Unix seconds>,v1=<hex>`, where the hex digits are the
//! HMAC-SHA-256 of `<Unix seconds>.<body>` under a secret that sender and receiver share.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;
use crate::error::{Error, Result};

/// Header with the signature.
pub const SIGNATURE_HEADER: &str = "x-webhook-signature";

/// Maximum difference between the time of a signature and the clock, in both directions. A request
/// that was recorded can be sent again for this long.
pub const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Key that signs webhook requests and verifies their signatures.
#[derive(Clone)]
pub struct WebhookKey(Hmac<Sha256>);

impl WebhookKey {
    /// Creates the key of a secret.
    ///
    /// # Errors
    /// When the HMAC key cannot be created. The length was checked with the settings.
    pub fn new(secret: &Secret<String>) -> Result<Self> {
        Hmac::new_from_slice(secret.0.as_bytes())
            .map(Self)
            .map_err(|e| Error::Internal(Box::new(e)))
    }

    /// Returns the signature of `body` at `now`.
    pub fn sign(&self, body: &[u8], now: DateTime<Utc>) -> String {
        let seconds = now.timestamp().to_string();
        let mac = self.mac(&seconds, body).finalize().into_bytes();
        format!("t={seconds},v1={}", hex::encode(mac))
    }

    /// Returns whether `signature` is one of `body`, and its time at most [`TOLERANCE`] from `now`.
    /// The comparison takes the same time wherever the first difference is.
    pub fn verify(&self, signature: &str, body: &[u8], now: DateTime<Utc>) -> bool {
        let Some((seconds, mac)) = parse(signature) else { return false };
        let Ok(time) = seconds.parse::<i64>() else { return false };
        self.mac(seconds, body).verify_slice(&mac).is_ok()
            && time.abs_diff(now.timestamp()) <= TOLERANCE.num_seconds().unsigned_abs()
    }

    fn mac(&self, seconds: &str, body: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(seconds).chain_update(".").chain_update(body)
    }
}

/// Splits a signature into its seconds and its HMAC.
fn parse(signature: &str) -> Option<(&str, Vec<u8>)> {
    let (seconds, mac) = signature.strip_prefix("t=")?.split_once(",v1=")?;
    Some((seconds, hex::decode(mac).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"type":"succeeded"}"#;

    fn key(secret: &str) -> WebhookKey {
        WebhookKey::new(&Secret(secret.into())).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_signature_is_the_documented_hmac() {
        // printf '1700000000.{"type":"succeeded"}' | openssl dgst -sha256 -hmac secret
        let expected =
            "t=1700000000,v1=8e34fe7a51e5022fd089c50969a1ebccd0e17baaa85bc73ba57e4ce539e9ac67";
        assert_eq!(key("secret").sign(BODY, at(1_700_000_000)), expected);
    }

    #[test]
    fn a_signature_is_valid_for_five_minutes_in_both_directions() {
        let key = key("secret");
        let signature = key.sign(BODY, at(1_000_000));
        for (seconds, valid) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)]
        {
            assert_eq!(key.verify(&signature, BODY, at(1_000_000 + seconds)), valid, "{seconds}");
        }
    }

    #[test]
    fn another_body_time_secret_or_form_is_refused() {
        let (key, other) = (key("secret"), key("another secret"));
        let now = at(1_000_000);
        let valid = key.sign(BODY, now);
        assert!(key.verify(&valid, BODY, now));
        assert!(!key.verify(&valid, b"{}", now));
        assert!(!other.verify(&valid, BODY, now));
        let mac = valid.split_once("v1=").unwrap().1;
        for forged in [
            String::new(),
            mac.to_owned(),
            format!("v1={mac}"),
            format!("t=1000000,v1={}", &mac[..62]),
            format!("t=1000000,v1={mac}00"),
            "t=1000000,v1=".to_owned(),
            format!("t=1000001,v1={mac}"),
            format!("t=01000000,v1={mac}"),
            format!("t=,v1={mac}"),
        ] {
            assert!(!key.verify(&forged, BODY, now), "{forged}");
        }
    }
}
