//! Signatures of webhooks.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{HeaderName, HeaderValue};
use sha2::Sha256;

/// Header with the signature of a ticket.
pub(super) const SIGNATURE: HeaderName = HeaderName::from_static("x-servicedesk-signature");

/// Signs the bytes of a body: HMAC-SHA256 with `secret`, in hexadecimal. `None` if HMAC does not accept the
/// key, which is not expected: it accepts every length.
pub(super) fn sign(secret: &str, body: &[u8]) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    HeaderValue::try_from(hex::encode(mac.finalize().into_bytes())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231.
    #[test]
    fn a_body_is_signed_as_in_rfc_4231() {
        assert_eq!(
            sign("Jefe", b"what do ya want for nothing?").unwrap(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
