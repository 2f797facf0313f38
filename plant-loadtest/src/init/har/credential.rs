//! Credentials of recordings, by their names and by their form. They are never copied.

use crate::init::names::variable_name;

/// Parts of the names of credentials, without separators.
const PARTS: [&str; 24] = [
    "authorization",
    "cookie",
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "csrf",
    "xsrf",
    "session",
    "credential",
    "signature",
    "creditcard",
    "cardnumber",
    "accesscode",
    "authcode",
    "securitycode",
    "verificationcode",
    "recoverycode",
];

/// Words that name credentials. As a part of a longer word they mean something else: `author`,
/// `shipping`, `design`.
const WORDS: [&str; 13] = [
    "auth", "bearer", "cvc", "cvv", "iban", "jwt", "key", "mfa", "otp", "pass", "pin", "sig", "ssn",
];

/// Starts of keys that well-known services issue.
const KEY_STARTS: [&str; 11] = [
    "AKIA",
    "ASIA",
    "AIza",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk_test_",
    "xoxb-",
    "xoxp-",
];

/// Shorter texts are no issued keys.
const SHORTEST_KEY: usize = 16;

/// Whether a header, a field or a parameter of this name carries a credential.
pub fn is_credential(name: &str) -> bool {
    let words = variable_name(name);
    if words.contains("idempotency") {
        return false;
    }
    // An authorization code of OAuth. `country_code` is none.
    words == "code"
        || words.split('_').any(|word| WORDS.contains(&word))
        || has_credential_part(&words)
}

/// Whether a text, of which the fields are not known, names a credential.
pub fn may_contain_credential(text: &str) -> bool {
    has_credential_part(&variable_name(text)) || contains_credential(text)
}

fn has_credential_part(words: &str) -> bool {
    let letters = words.replace('_', "");
    PARTS.iter().any(|part| letters.contains(part))
}

/// Whether a value has the form of a credential: a JSON Web Token, an issued key, or the value of a
/// header `Authorization`.
pub fn looks_like_credential(value: &str) -> bool {
    let scheme = value.split_once(' ').is_some_and(|(scheme, credentials)| {
        ["basic", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
            && credentials.len() >= 6
            && !credentials.trim().contains(' ')
    });
    scheme
        || is_web_token(value)
        || (value.len() >= SHORTEST_KEY && KEY_STARTS.iter().any(|start| value.starts_with(start)))
}

/// Whether this is a JSON Web Token: the first part is an object in base64.
fn is_web_token(value: &str) -> bool {
    let is_allowed = |next: char| next.is_ascii_alphanumeric() || "-_.=".contains(next);
    value.starts_with("eyJ") && value.matches('.').count() >= 2 && value.chars().all(is_allowed)
}

/// Whether a text has a value after the name of a credential: `password: "x"`, `token=x`,
/// `<pin>x`. A variable of a GraphQL query is no value.
pub fn contains_credential(text: &str) -> bool {
    let is_word = |next: char| next.is_alphanumeric() || "-_.=".contains(next);
    text.match_indices([':', '=', '>']).any(|(at, _)| names_a_value(&text[..at], &text[at + 1..]))
        || text.split(|next| !is_word(next)).any(looks_like_credential)
}

fn names_a_value(before: &str, after: &str) -> bool {
    let before = before.trim_end().trim_end_matches(['"', '\'', '\\']);
    let is_name = |next: char| next.is_alphanumeric() || next == '_' || next == '-';
    let name = before.trim_end_matches(is_name).len();
    let (owner, name) = before.split_at(name);
    let after = after.trim_start();
    let has_value = !after.is_empty() && !after.starts_with(['$', '{', '<', ',', ')', '}']);
    has_value && !owner.ends_with('$') && !name.is_empty() && is_credential(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_known_by_the_words_of_their_names() {
        for name in [
            "password",
            "j_password",
            "pass",
            "passphrase",
            "pin",
            "otp",
            "cvv",
            "creditCard",
            "X-Auth",
            "sig",
            "code",
            "AWSAccessKeyId",
            "X-Amz-Signature",
            "apikey",
            "api-key",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "author",
            "shipping",
            "design",
            "keyboard",
            "country_code",
            "passenger",
            "compass",
            "Idempotency-Key",
            "email",
        ] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn credentials_are_known_by_their_form() {
        for value in ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln", "BASIC Ym9iOnNl", "Bearer abcdef"] {
            assert!(looks_like_credential(value), "{value}");
        }
        for value in ["eyJ", "basic", "bearer of news and more", "AKIA", "a.b.c"] {
            assert!(!looks_like_credential(value), "{value}");
        }
    }

    #[test]
    fn a_text_contains_a_credential_if_it_has_its_value() {
        for text in [
            "mutation { login(password:\"x\") { token } }",
            "a=1&token=x",
            "<pin>1</pin>",
            "{\"pass\": 1}",
            "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln there",
        ] {
            assert!(contains_credential(text), "{text}");
        }
        for text in [
            "mutation($password: String!) { login(password: $password) { token } }",
            "Forgot your password?",
            "<pin></pin>",
        ] {
            assert!(!contains_credential(text), "{text}");
        }
    }
}
