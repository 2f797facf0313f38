//! Validation of request fields, which collects all violations before it fails.

use serde_json::{Map, Value};

use crate::error::{Error, Result, Violation};

/// Maximum length of a name, in characters.
pub const MAX_NAME_CHARS: usize = 200;
/// Maximum length of a description or note, in characters.
pub const MAX_TEXT_CHARS: usize = 10_000;

/// OpenAPI schema of a string that [`Checks::name`] accepts.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct Name(#[expect(dead_code, reason = "only its schema is used")] String);

/// The violations found so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Violation>);

impl Checks {
    /// Adds a violation of `rule` by `field`, unless `valid`.
    pub fn require(&mut self, valid: bool, field: &str, rule: &str, message: &str) {
        if !valid {
            self.0.push(Violation::new(field, rule, message));
        }
    }

    /// Checks a name: not blank, at most [`MAX_NAME_CHARS`] characters, no control characters.
    pub fn name(&mut self, field: &str, value: &str) {
        self.require(!value.trim().is_empty(), field, "not-blank", "must not be blank");
        self.max_chars(field, value, MAX_NAME_CHARS);
        let no_controls = !value.chars().any(char::is_control);
        self.require(
            no_controls,
            field,
            "no-control-characters",
            "must not contain control characters",
        );
    }

    /// Checks that a text has at most `max` characters.
    pub fn max_chars(&mut self, field: &str, value: &str, max: usize) {
        let fits = value.chars().nth(max).is_none();
        self.require(fits, field, "max-length", &format!("must be at most {max} characters"));
    }

    /// Checks that an optional text has at most [`MAX_TEXT_CHARS`] characters.
    pub fn optional_text(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.max_chars(field, value, MAX_TEXT_CHARS);
        }
    }

    /// Checks that settings contain no secrets: keys such as `password`, `api_key`, `…_token` or
    /// `…_secret` are violations at any depth; `…_ref` and `…_id` are references and are allowed.
    pub fn no_secrets(&mut self, field: &str, settings: &Map<String, Value>) {
        for (key, value) in settings {
            let path = format!("{field}.{key}");
            self.require(
                !is_secret_key(key),
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

    /// Returns the result of all checks.
    ///
    /// # Errors
    /// [`Error::Validation`] with all violations.
    pub fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Validation(self.0)) }
    }
}

fn is_secret_key(key: &str) -> bool {
    let mut snake_case = String::with_capacity(key.len() + 4);
    let mut after_lower = false;
    // `apiKey`, `api-key` and `API_KEY` are the same key.
    for c in key.chars() {
        if c.is_uppercase() && after_lower {
            snake_case.push('_');
        }
        after_lower = c.is_lowercase() || c.is_ascii_digit();
        snake_case.extend(if c.is_alphanumeric() { c.to_lowercase().next() } else { Some('_') });
    }
    let words: Vec<_> = snake_case.split('_').filter(|w| !w.is_empty()).collect();
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
    use super::is_secret_key;

    #[test]
    fn secrets_are_detected_by_their_key() {
        for key in
            ["password", "api_key", "apiKey", "API-KEY", "x_token", "client_secret", "dbPassword"]
        {
            assert!(is_secret_key(key), "{key}");
        }
        for key in ["api_key_ref", "token_id", "secretRef", "monkey", "tone", "max_tokens", "key"] {
            assert!(!is_secret_key(key), "{key}");
        }
    }
}
