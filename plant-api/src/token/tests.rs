use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

fn tokens(secret: &str) -> Tokens {
    Tokens::new(&Secret(secret.into())).unwrap()
}

fn claims() -> Claims {
    Claims {
        account: Uuid::from_u128(1),
        session: Uuid::from_u128(2),
        role: Role::User,
        customer: "lotus".into(),
    }
}

fn noon() -> DateTime<Utc> {
    "2026-01-14T12:00:00Z".parse().unwrap()
}

fn reason(result: Result<Claims>) -> &'static str {
    match result {
        Err(Error::Unauthenticated(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_returns_the_claims_it_was_issued_with() {
    let tokens = tokens("secret");
    let access = tokens.issue_access_token(&claims(), noon()).unwrap();
    assert_eq!(tokens.verify_access_token(&access, noon()).unwrap(), claims());
    let refresh = tokens.issue_refresh_token(&claims(), noon()).unwrap();
    assert_eq!(tokens.verify_refresh_token(&refresh, noon()).unwrap(), claims());
}

#[test]
fn a_token_expires_at_the_end_of_its_lifetime() {
    let tokens = tokens("secret");
    let access = tokens.issue_access_token(&claims(), noon()).unwrap();
    let end = noon() + ACCESS_TOKEN_LIFETIME;
    tokens.verify_access_token(&access, end - TimeDelta::seconds(1)).unwrap();
    assert_eq!(reason(tokens.verify_access_token(&access, end)), "the token has expired");
}

#[test]
fn a_token_of_the_other_type_is_refused() {
    let tokens = tokens("secret");
    let refresh = tokens.issue_refresh_token(&claims(), noon()).unwrap();
    assert_eq!(
        reason(tokens.verify_access_token(&refresh, noon())),
        "the token has the wrong type"
    );
    let access = tokens.issue_access_token(&claims(), noon()).unwrap();
    assert_eq!(
        reason(tokens.verify_refresh_token(&access, noon())),
        "the token has the wrong type"
    );
}

#[test]
fn a_token_not_signed_with_the_secret_is_refused() {
    let issuer = tokens("secret");
    let other = Claims { account: Uuid::from_u128(3), ..claims() };
    let foreign = tokens("another").issue_access_token(&other, noon()).unwrap();
    let valid = issuer.issue_access_token(&claims(), noon()).unwrap();
    let (head, signature) = valid.rsplit_once('.').unwrap();
    let unsigned = format!("{head}.");
    let swapped = format!("{}.{signature}", foreign.rsplit_once('.').unwrap().0);
    for token in [foreign.as_str(), &unsigned, &swapped, "", "a.b.c", "..", "é"] {
        let actual = reason(issuer.verify_access_token(token, noon()));
        assert_eq!(actual, "the token is malformed or was not issued by this service", "{token}");
    }
}

#[test]
fn two_refresh_tokens_of_the_same_second_differ() {
    let tokens = tokens("secret");
    let one = tokens.issue_refresh_token(&claims(), noon()).unwrap();
    assert_ne!(tokens.issue_refresh_token(&claims(), noon()).unwrap(), one);
}

#[test]
fn an_hmac_depends_on_the_secret_and_the_input() {
    assert_eq!(tokens("secret").hmac(b"x"), tokens("secret").hmac(b"x"));
    assert_ne!(tokens("secret").hmac(b"x"), tokens("another").hmac(b"x"));
    assert_ne!(tokens("secret").hmac(b"x"), tokens("secret").hmac(b"y"));
}

/// Returns a token with these claims, made as a client without a JWT library makes one.
fn self_made(secret: &str, claims: &serde_json::Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg": "HS256", "typ": "JWT"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = tokens(secret).hmac(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_that_a_client_has_made_needs_all_claims() {
    let secret = "test-secret-key";
    let verify = |secret: &str, claims: &serde_json::Value| {
        tokens("test-secret-key").verify_access_token(&self_made(secret, claims), noon())
    };
    let all = json!({
        "sub": Uuid::from_u128(1), "sid": Uuid::from_u128(2), "role": "user", "customer": "lotus",
        "type": "access", "iat": noon().timestamp(), "exp": noon().timestamp() + 3600,
        "email": "test@example.com",
    });
    assert_eq!(verify(secret, &all).unwrap(), claims());
    for claim in ["sub", "sid", "role", "customer", "type", "iat", "exp"] {
        let mut without = all.clone();
        without.as_object_mut().unwrap().remove(claim);
        let reason = reason(verify(secret, &without));
        assert!(reason.starts_with("the token is signed with the secret"), "{claim}: {reason}");
    }
    let seed = json!({
        "sub": "test-user-1", "email": "test@example.com", "iat": noon().timestamp(),
        "exp": noon().timestamp() + 3600,
    });
    let refused = reason(verify(secret, &seed));
    assert!(refused.contains("sub (id of an account), sid (id of a session)"), "{refused}");
    // Another secret reveals nothing about the claims.
    for claims in [&all, &seed] {
        let refused = reason(verify("another secret", claims));
        assert_eq!(refused, "the token is malformed or was not issued by this service");
    }
}
