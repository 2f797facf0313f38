//! Valid and invalid tokens.

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sha2::Sha512;

use crate::config::Secret;
use crate::testing::{SIGNING_KEY, TestApp};
use crate::token::{Claims, Role, Tokens};

/// Returns a valid access token.
pub fn valid(app: &TestApp, claims: &Claims) -> String {
    app.state.access_policy.tokens.issue_access_token(claims, app.state.clock.now()).unwrap()
}

/// Returns values of the Authorization header that must be rejected, each with its name. Each
/// differs in one way from a valid one.
pub fn invalid(app: &TestApp, claims: &Claims) -> Vec<(&'static str, String)> {
    let tokens = &app.state.access_policy.tokens;
    let now = app.state.clock.now();
    let valid = valid(app, claims);
    let [_, payload, signature] = parts(&valid);
    let other_secret = Tokens::new(&Secret("another secret".into())).unwrap();
    let admin = Claims { role: Role::Admin, ..claims.clone() };
    let promoted = tokens.issue_access_token(&admin, now).unwrap();
    let [head, admin_payload, _] = parts(&promoted);

    let none = r#"{"alg":"none","typ":"JWT"}"#;
    let hs512 = format!("{}.{payload}", base64url(br#"{"alg":"HS512","typ":"JWT"}"#));
    let mac = Hmac::<Sha512>::new_from_slice(SIGNING_KEY.as_bytes()).unwrap().chain_update(&hs512);
    let hs512 = format!("{hs512}.{}", base64url(&mac.finalize().into_bytes()));
    let rs256 = base64url(br#"{"alg":"RS256","typ":"JWT"}"#);
    let unknown_type = json!({
        "sub": claims.account, "sid": claims.session, "role": "user", "customer": claims.customer,
        "type": "invitation", "iat": now.timestamp(), "exp": now.timestamp() + 900,
    });
    let mut no_expiry = unknown_type.clone();
    no_expiry["type"] = json!("access");
    no_expiry.as_object_mut().unwrap().remove("exp");
    let key = EncodingKey::from_secret(SIGNING_KEY.as_bytes());
    let signed = |claims| encode(&Header::new(Algorithm::HS256), claims, &key).unwrap();

    let expired = tokens.issue_access_token(claims, now - TimeDelta::minutes(15)).unwrap();
    let refresh = tokens.issue_refresh_token(claims, now).unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    vec![
        ("an expired token", bearer(&expired)),
        ("alg none, unsigned", bearer(&format!("{}.{payload}.", base64url(none.as_bytes())))),
        (
            "alg none, signed",
            bearer(&format!("{}.{payload}.{signature}", base64url(none.as_bytes()))),
        ),
        ("HS512 with the right secret", bearer(&hs512)),
        ("RS256 by name", bearer(&format!("{rs256}.{payload}.{signature}"))),
        ("another secret", bearer(&other_secret.issue_access_token(claims, now).unwrap())),
        ("no signature", bearer(&format!("{head}.{payload}."))),
        ("a forged role", bearer(&format!("{head}.{admin_payload}.{signature}"))),
        ("a refresh token", bearer(&refresh)),
        ("an unknown type", bearer(&signed(&unknown_type))),
        ("no expiry", bearer(&signed(&no_expiry))),
        ("not a JWT", bearer("not-a-token")),
        ("another scheme", format!("Basic {valid}")),
    ]
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// Encodes as base64url without padding (RFC 4648, section 5).
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..=chunk.len() {
            text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char);
        }
    }
    text
}
