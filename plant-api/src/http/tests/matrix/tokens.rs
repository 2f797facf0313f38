//! Tokens, good and bad.

use chrono::TimeDelta;
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use sha2::Sha512;

use crate::config::Secret;
use crate::testing::{SECRET, TestApp};
use crate::token::{Holder, Role, Tokens};

/// An access token of today.
pub fn good(app: &TestApp, holder: &Holder) -> String {
    app.state.gate.tokens.issue_access(holder, app.state.clock.now()).unwrap()
}

/// Values of the Authorization header that must not be believed, each one way away from `holder`'s
/// good one.
pub fn bad(app: &TestApp, holder: &Holder) -> Vec<(&'static str, String)> {
    let tokens = &app.state.gate.tokens;
    let now = app.state.clock.now();
    let good = good(app, holder);
    let [_, payload, signature] = parts(&good);
    let guessed = Tokens::new(&Secret("another secret".into())).unwrap();
    let admin = Holder { role: Role::Admin, ..holder.clone() };
    let promoted = tokens.issue_access(&admin, now).unwrap();
    let [head, admins_payload, _] = parts(&promoted);

    let none = r#"{"alg":"none","typ":"JWT"}"#;
    let hs512 = format!("{}.{payload}", base64url(br#"{"alg":"HS512","typ":"JWT"}"#));
    let mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).unwrap().chain_update(&hs512);
    let hs512 = format!("{hs512}.{}", base64url(&mac.finalize().into_bytes()));
    let rs256 = base64url(br#"{"alg":"RS256","typ":"JWT"}"#);
    let nobodys = json!({
        "sub": holder.account, "sid": holder.session, "role": "user", "customer": holder.customer,
        "type": "invitation", "iat": now.timestamp(), "exp": now.timestamp() + 900,
    });
    let mut timeless = nobodys.clone();
    timeless["type"] = json!("access");
    timeless.as_object_mut().unwrap().remove("exp");
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signed = |claims| encode(&Header::new(Algorithm::HS256), claims, &key).unwrap();

    let expired = tokens.issue_access(holder, now - TimeDelta::minutes(15)).unwrap();
    let refresh = tokens.issue_refresh(holder, now).unwrap();
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
        ("another secret", bearer(&guessed.issue_access(holder, now).unwrap())),
        ("no signature", bearer(&format!("{head}.{payload}."))),
        ("a role written over", bearer(&format!("{head}.{admins_payload}.{signature}"))),
        ("a refresh token", bearer(&refresh)),
        ("a type that there is not", bearer(&signed(&nobodys))),
        ("no expiry", bearer(&signed(&timeless))),
        ("no token at all", bearer("not-a-token")),
        ("another scheme", format!("Basic {good}")),
    ]
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..=three.len() {
            text.push(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char);
        }
    }
    text
}
