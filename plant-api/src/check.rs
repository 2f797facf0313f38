//! Checks on what clients send, collecting every fault before answering.

use serde_json::{Map, Value};

use crate::error::{Error, Result, Violation};

/// Longest name, in characters.
pub const NAME_MAX: usize = 200;
/// Longest description or note, in characters.
pub const TEXT_MAX: usize = 10_000;

/// What [`Checks::name`] takes, for the description.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct Name(#[expect(dead_code, reason = "only its schema is used")] String);

/// Faults found so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Violation>);

impl Checks {
    /// Notes that `field` breaks `rule`, unless `holds`.
    pub fn that(&mut self, holds: bool, field: &str, rule: &str, message: &str) {
        if !holds {
            self.0.push(Violation::new(field, rule, message));
        }
    }

    /// A name: something visible, at most [`NAME_MAX`] characters, no line breaks or the like.
    pub fn name(&mut self, field: &str, value: &str) {
        self.that(!value.trim().is_empty(), field, "not-blank", "must not be blank");
        self.at_most(field, value, NAME_MAX);
        let plain = !value.chars().any(char::is_control);
        self.that(plain, field, "no-control-characters", "must not hold control characters");
    }

    /// A text of at most `most` characters.
    pub fn at_most(&mut self, field: &str, value: &str, most: usize) {
        let short = value.chars().nth(most).is_none();
        self.that(short, field, "max-length", &format!("must be at most {most} characters"));
    }

    /// The same where there is one.
    pub fn text(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.at_most(field, value, TEXT_MAX);
        }
    }

    /// A tree of settings without raw secrets: a key like `password`, `api_key`, `…_token` or
    /// `…_secret` is a fault wherever it stands; `…_ref` and `…_id` point at a secret and are fine.
    pub fn no_secrets(&mut self, field: &str, settings: &Map<String, Value>) {
        for (key, value) in settings {
            let path = format!("{field}.{key}");
            self.that(
                !names_a_secret(key),
                &path,
                "no-raw-secret",
                "looks like a secret; store a reference to it instead, such as api_key_ref",
            );
            self.no_secrets_in(&path, value);
        }
    }

    fn no_secrets_in(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(inner) => self.no_secrets(path, inner),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.no_secrets_in(&format!("{path}[{i}]"), item);
                }
            }
            _ => {}
        }
    }

    /// Nothing found, or everything.
    ///
    /// # Errors
    /// [`Error::Validation`] with every fault.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Validation(self.0)) }
    }
}

fn names_a_secret(key: &str) -> bool {
    let mut plain = String::with_capacity(key.len() + 4);
    let mut after_lower = false;
    // `apiKey`, `api-key` and `API_KEY` are one name.
    for c in key.chars() {
        if c.is_uppercase() && after_lower {
            plain.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        plain.extend(if c.is_alphanumeric() { c.to_lowercase().next() } else { Some('_') });
    }
    let words: Vec<_> = plain.split('_').filter(|w| !w.is_empty()).collect();
    if matches!(words.last(), Some(&("ref" | "id"))) {
        return false;
    }
    words.iter().any(|w| {
        matches!(
            *w,
            "password"
                | "passwd"
                | "passphrase"
                | "secret"
                | "token"
                | "apikey"
                | "credential"
                | "credentials"
        )
    }) || words.windows(2).any(|pair| matches!(pair, ["api" | "private" | "access", "key"]))
}

#[cfg(test)]
mod tests {
    use super::names_a_secret;

    #[test]
    fn secrets_are_known_by_their_key() {
        for key in
            ["password", "api_key", "apiKey", "API-KEY", "x_token", "client_secret", "dbPassword"]
        {
            assert!(names_a_secret(key), "{key}");
        }
        for key in ["api_key_ref", "token_id", "secretRef", "monkey", "tone", "max_tokens", "key"] {
            assert!(!names_a_secret(key), "{key}");
        }
    }
}
