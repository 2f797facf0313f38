//! Signatures of the tickets that service desks post, in two forms:
//!
//! - `X-ServiceDesk-Signature: <hex>` or `sha256=<hex>`, the HMAC-SHA-256 of the body under the secret;
//! - [Standard Webhooks](https://www.standardwebhooks.com): `webhook-signature: v1,<base64> …`, the
//!   HMAC-SHA-256 of `<webhook-id>.<webhook-timestamp>.<body>`. A secret `whsec_<base64>` is decoded
//!   for this form; any other secret is used as it is.
//!
//! Signatures in both forms must both be valid. A header that is sent twice is invalid, because of two
//! signatures a proxy might have verified the other one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;

pub const SIGNATURE_HEADER: &str = "x-servicedesk-signature";
pub const STANDARD_SIGNATURE_HEADER: &str = "webhook-signature";
pub const STANDARD_ID_HEADER: &str = "webhook-id";
pub const STANDARD_TIMESTAMP_HEADER: &str = "webhook-timestamp";

/// Maximum age of a timestamp; a request that was recorded can be sent again for this long.
const MAX_AGE: TimeDelta = TimeDelta::seconds(300);
/// Maximum time by which a timestamp may be ahead of the clock.
const MAX_AHEAD: TimeDelta = TimeDelta::seconds(30);

/// Prefix of a secret in the form of Standard Webhooks.
const STANDARD_SECRET_PREFIX: &str = "whsec_";

/// The values of a header, at most two of them; a value that is not ASCII text is empty.
pub type HeaderValues = Vec<String>;

/// The signatures of a request, as they were sent.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    pub desk: HeaderValues,
    pub standard: HeaderValues,
    pub standard_id: HeaderValues,
    pub standard_timestamp: HeaderValues,
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// No signature was sent.
    Unsigned,
    /// A signature is invalid, or its timestamp is out of bounds.
    Invalid,
    /// All signatures are valid; with the `webhook-id` that was signed.
    Valid { webhook_id: Option<String> },
}

impl Signatures {
    /// Verifies that each form that was sent is a signature of `body` under one of `secrets`. The
    /// comparison takes the same time wherever the first difference is.
    pub fn verify(
        &self,
        body: &[u8],
        secrets: &[Secret<String>],
        now: DateTime<Utc>,
    ) -> Verification {
        if self.desk.is_empty() && self.standard.is_empty() {
            return Verification::Unsigned;
        }
        if !self.desk.is_empty() && !self.verify_desk(body, secrets) {
            return Verification::Invalid;
        }
        if self.standard.is_empty() {
            return Verification::Valid { webhook_id: None };
        }
        match self.verify_standard(body, secrets, now) {
            Some(id) => Verification::Valid { webhook_id: Some(id.to_owned()) },
            None => Verification::Invalid,
        }
    }

    fn verify_desk(&self, body: &[u8], secrets: &[Secret<String>]) -> bool {
        let Some(signature) = only(&self.desk) else { return false };
        let digits = signature.strip_prefix("sha256=").unwrap_or(signature);
        let Ok(expected) = hex::decode(digits) else { return false };
        secrets.iter().any(|secret| is_mac(secret.0.as_bytes(), &[body], &expected))
    }

    /// Returns the signed id if the signature is valid.
    fn verify_standard(
        &self,
        body: &[u8],
        secrets: &[Secret<String>],
        now: DateTime<Utc>,
    ) -> Option<&str> {
        let (signatures, id) = (only(&self.standard)?, only(&self.standard_id)?);
        let timestamp = only(&self.standard_timestamp)?;
        let age = now - DateTime::from_timestamp(timestamp.parse().ok()?, 0)?;
        if age > MAX_AGE || age < -MAX_AHEAD {
            return None;
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let macs: Vec<Vec<u8>> = signatures
            .split(' ')
            .filter_map(|signature| BASE64.decode(signature.strip_prefix("v1,")?).ok())
            .collect();
        let is_valid = secrets.iter().any(|secret| {
            let key = standard_key(secret);
            macs.iter().any(|mac| is_mac(&key, &signed, mac))
        });
        is_valid.then_some(id)
    }
}

/// Returns the value of a header that was sent once.
fn only(values: &HeaderValues) -> Option<&str> {
    match values.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// Returns the key of a secret for Standard Webhooks.
fn standard_key(secret: &Secret<String>) -> Vec<u8> {
    let encoded = secret.0.strip_prefix(STANDARD_SECRET_PREFIX);
    let decoded = encoded.and_then(|encoded| BASE64.decode(encoded).ok());
    decoded.unwrap_or_else(|| secret.0.clone().into_bytes())
}

/// Returns whether `mac` is the HMAC-SHA-256 of `parts` under `key`. No MAC is valid under an empty key,
/// which anyone could guess, nor under zeros, which are the same key.
fn is_mac(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    let Ok(hmac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    let hmac = parts.iter().fold(hmac, Mac::chain_update);
    key.iter().any(|byte| *byte != 0) && hmac.verify_slice(mac).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    /// The example of the specification of Standard Webhooks.
    const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const STANDARD_TIME: i64 = 1_614_265_330;

    fn secrets(texts: &[&str]) -> Vec<Secret<String>> {
        texts.iter().map(|text| Secret((*text).to_owned())).collect()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn desk(values: &[&str]) -> Signatures {
        let desk = values.iter().map(|value| (*value).to_owned()).collect();
        Signatures { desk, ..Signatures::default() }
    }

    fn standard(signature: &str) -> Signatures {
        Signatures {
            standard: vec![signature.to_owned()],
            standard_id: vec!["msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned()],
            standard_timestamp: vec![STANDARD_TIME.to_string()],
            ..Signatures::default()
        }
    }

    fn is_valid(signatures: &Signatures, body: &[u8], known: &[&str], now: i64) -> bool {
        let verification = signatures.verify(body, &secrets(known), at(now));
        matches!(verification, Verification::Valid { .. })
    }

    #[test]
    fn the_signature_is_the_documented_hmac() {
        // printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac secret
        let hex = "c4be5c092d907fa240f2da524c1fd82913705379274d113cacd5ec3a667ad4d4";
        for sent in [hex.to_owned(), format!("sha256={hex}"), hex.to_uppercase()] {
            assert!(is_valid(&desk(&[&sent]), BODY, &["secret"], 0), "{sent}");
        }
        for forged in [
            "",
            "sha256=",
            &hex[..62],
            &format!("{hex}00"),
            &format!("sha1={hex}"),
            &format!(" {hex}"),
        ] {
            assert!(!is_valid(&desk(&[forged]), BODY, &["secret"], 0), "{forged}");
        }
        assert!(!is_valid(&desk(&[hex, hex]), BODY, &["secret"], 0));
        assert!(!is_valid(&desk(&[hex]), b"{}", &["secret"], 0));
        assert!(!is_valid(&desk(&[hex]), BODY, &["other"], 0));
        assert!(is_valid(&desk(&[hex]), BODY, &["other", "secret"], 0));
    }

    #[test]
    fn no_signature_is_valid_without_a_secret_or_under_an_empty_one() {
        let mac = Hmac::<Sha256>::new_from_slice(b"").unwrap().chain_update(BODY);
        let hex = hex::encode(mac.finalize().into_bytes());
        // HMAC fills a key up with zeros, so zeros are the empty key.
        for key in ["", "\0\0"] {
            assert!(!is_valid(&desk(&[&hex]), BODY, &[key], 0), "{key:?}");
        }
        assert!(!is_valid(&desk(&[&hex]), BODY, &[], 0));
        assert!(!is_valid(&standard(STANDARD_SIGNATURE), BODY, &["whsec_"], STANDARD_TIME));
    }

    #[test]
    fn the_example_of_standard_webhooks_is_valid() {
        let verification = standard(STANDARD_SIGNATURE).verify(
            BODY,
            &secrets(&[STANDARD_SECRET]),
            at(STANDARD_TIME),
        );
        let webhook_id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned());
        assert_eq!(verification, Verification::Valid { webhook_id });
        let several = format!("v1a,x v1,AAAA {STANDARD_SIGNATURE}");
        assert!(is_valid(&standard(&several), BODY, &["other", STANDARD_SECRET], STANDARD_TIME));
    }

    #[test]
    fn a_timestamp_is_valid_for_300_s_and_30_s_ahead() {
        for (offset, valid) in [(301, false), (300, true), (0, true), (-30, true), (-31, false)] {
            let now = STANDARD_TIME + offset;
            let found = is_valid(&standard(STANDARD_SIGNATURE), BODY, &[STANDARD_SECRET], now);
            assert_eq!(found, valid, "{offset}");
        }
    }

    #[test]
    fn an_incomplete_or_altered_standard_signature_is_invalid() {
        let valid = standard(STANDARD_SIGNATURE);
        let other = || vec!["1614265331".to_owned()];
        for (name, forged) in [
            ("no id", Signatures { standard_id: Vec::new(), ..valid.clone() }),
            ("another id", Signatures { standard_id: vec!["msg".into()], ..valid.clone() }),
            ("no time", Signatures { standard_timestamp: Vec::new(), ..valid.clone() }),
            ("another time", Signatures { standard_timestamp: other(), ..valid.clone() }),
            (
                "two times",
                Signatures { standard_timestamp: [other(), other()].concat(), ..valid.clone() },
            ),
            ("empty", Signatures { standard: vec![String::new()], ..valid.clone() }),
            ("another version", standard(&STANDARD_SIGNATURE.replace("v1,", "v2,"))),
            ("truncated", standard(&STANDARD_SIGNATURE[..20])),
            (
                "a wrong one of the other form",
                Signatures { desk: vec!["00".into()], ..valid.clone() },
            ),
        ] {
            assert!(!is_valid(&forged, BODY, &[STANDARD_SECRET], STANDARD_TIME), "{name}");
        }
    }

    #[test]
    fn an_id_alone_is_no_signature() {
        let unsigned = Signatures { standard: Vec::new(), ..standard("") };
        assert_eq!(unsigned.verify(BODY, &[], at(0)), Verification::Unsigned);
    }
}
