//! Validation of request fields, which collects all violations before it fails. Another
//! thing are the checks that an entity must pass: [`plant::entity`](crate::plant::entity).

pub mod field_limits;
mod path;

use std::io;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, MAX_VIOLATIONS, Result, Violation};

use field_limits::{MAX_FREE_FORM_JSON_BYTES, MAX_SEARCH_CHARS};
pub use field_limits::{MAX_NAME_CHARS, MAX_TEXT_CHARS};
pub use path::FieldPath;

/// OpenAPI schema of a string that [`Checks::name`] accepts.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 200)]
pub struct Name(#[expect(dead_code, reason = "only its schema is used")] String);

/// Collects the violations of a request's fields.
#[derive(Debug, Default)]
pub struct Checks(Vec<Violation>);

impl Checks {
    /// Adds a violation of `rule` by `field`, unless `valid`.
    pub fn require(&mut self, valid: bool, field: &str, rule: &str, message: &str) {
        if !valid {
            self.0.push(Violation::new(field, rule, message));
        }
    }

    /// Returns whether no more violations are reported.
    fn is_full(&self) -> bool {
        self.0.len() >= MAX_VIOLATIONS
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

    /// Checks that a search text has at most [`MAX_SEARCH_CHARS`] characters.
    pub fn search(&mut self, field: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.max_chars(field, value, MAX_SEARCH_CHARS);
        }
    }

    /// Checks that a free-form JSON field has at most [`MAX_FREE_FORM_JSON_BYTES`] as JSON; returns whether it
    /// has.
    pub fn free_form_json(&mut self, field: &str, value: &impl Serialize) -> bool {
        let fits = serde_json::to_writer(RemainingBytes(MAX_FREE_FORM_JSON_BYTES), value).is_ok();
        self.require(fits, field, "max-size", "must be at most 64 KiB as JSON");
        fits
    }

    /// Checks that settings are at most [`MAX_FREE_FORM_JSON_BYTES`] as JSON and contain no secrets: keys
    /// such as `password`, `api_key`, `…_token` or `…_secret` are violations at any depth; `…_ref`
    /// and `…_id` are references and are allowed. Settings that are too large are not searched.
    pub fn settings(&mut self, field: &str, settings: &Map<String, Value>) {
        if self.free_form_json(field, settings) {
            self.no_secrets(&FieldPath::Key(&FieldPath::Root, field), settings);
        }
    }

    fn no_secrets(&mut self, path: &FieldPath<'_>, settings: &Map<String, Value>) {
        for (key, value) in settings {
            if self.is_full() {
                return;
            }
            let path = FieldPath::Key(path, key);
            if is_secret_key(key) {
                let message =
                    "looks like a secret; store a reference to it instead, such as api_key_ref";
                self.0.push(Violation::new(path.to_string(), "no-raw-secret", message));
            }
            self.no_secrets_in(&path, value);
        }
    }

    fn no_secrets_in(&mut self, path: &FieldPath<'_>, value: &Value) {
        match value {
            Value::Object(inner) => self.no_secrets(path, inner),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.no_secrets_in(&FieldPath::Index(path, i), item);
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

/// Fails when more than this number of bytes is written.
struct RemainingBytes(usize);

impl io::Write for RemainingBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let remaining = self.0.checked_sub(bytes.len());
        self.0 = remaining.ok_or_else(|| io::Error::other("too large"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_secret_key(key: &str) -> bool {
    let words = words(key);
    if matches!(words.last().map(String::as_str), Some("ref" | "id")) {
        return false;
    }
    // `max_tokens` and `token_limit` are settings of a language model.
    let is_number = words.iter().any(|word| {
        matches!(word.as_str(), "max" | "min" | "num" | "count" | "total" | "limit" | "used")
    });
    words.iter().any(|word| match word.as_str() {
        "password" | "passwd" | "pwd" | "passphrase" | "secret" | "apikey" | "credential" => true,
        "token" => !is_number,
        _ => false,
    }) || words
        .windows(2)
        .any(|pair| matches!(pair[0].as_str(), "api" | "private" | "access") && pair[1] == "key")
}

/// Returns the words of a key in lower case, without a plural `s` and digits at the end: `apiKeys`,
/// `API-KEY` and `api_key2` are the same key.
fn words(key: &str) -> Vec<String> {
    let chars: Vec<char> = key.chars().collect();
    let mut snake_case = String::with_capacity(key.len() + 4);
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after_lower = before.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
        // The last capital of several belongs to the next word: `APIToken`.
        let is_last_of_many = before.is_some_and(char::is_uppercase)
            && chars.get(i + 1).is_some_and(|c| c.is_lowercase());
        if c.is_uppercase() && (after_lower || is_last_of_many) {
            snake_case.push('_');
        }
        snake_case.extend(if c.is_alphanumeric() { c.to_lowercase().next() } else { Some('_') });
    }
    let words =
        snake_case.split('_').map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let singular = |word: &str| {
        word.strip_suffix('s').filter(|w| !w.ends_with('s')).unwrap_or(word).to_owned()
    };
    words.filter(|word| !word.is_empty()).map(singular).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::field_limits::MAX_FREE_FORM_JSON_BYTES;
    use super::{Checks, is_secret_key};
    use crate::error::{Error, MAX_FIELD_CHARS, MAX_VIOLATIONS, Violation};

    fn violations(settings: &serde_json::Value) -> Vec<Violation> {
        let mut checks = Checks::default();
        checks.settings("settings", settings.as_object().unwrap());
        match checks.into_result() {
            Err(Error::Validation(list)) => list,
            Ok(()) => Vec::new(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_secret_is_reported_with_its_path() {
        let found = violations(&json!({"a": [{"b": 0}, {"x_token": {"password": 1}}]}));
        let fields: Vec<_> = found.iter().map(|violation| &*violation.field).collect();
        assert_eq!(fields, ["settings.a[1].x_token", "settings.a[1].x_token.password"]);
    }

    #[test]
    fn the_number_and_the_length_of_violations_are_limited() {
        let tokens = vec![json!({"token": 0}); 4_000];
        let found = violations(&json!({"k".repeat(5_000): tokens}));
        assert_eq!(found.len(), MAX_VIOLATIONS);
        assert!(found.iter().all(|violation| violation.field.chars().count() <= MAX_FIELD_CHARS));
        assert!(found[0].field.ends_with("…[0].token"));
    }

    #[test]
    fn settings_that_are_too_large_are_not_searched() {
        let tokens = vec![json!({"token": 0}); 10_000];
        let found = violations(&json!({"a": tokens}));
        assert!(found.len() == 1 && found[0].rule == "max-size");
    }

    #[test]
    fn free_form_json_has_at_most_64_kib() {
        // `{"a":"…"}` has 8 bytes besides the text.
        let with_size = |size: usize| json!({"a": "x".repeat(size - 8)});
        assert!(violations(&with_size(MAX_FREE_FORM_JSON_BYTES)).is_empty());
        assert_eq!(violations(&with_size(MAX_FREE_FORM_JSON_BYTES + 1))[0].rule, "max-size");
    }

    #[test]
    fn secrets_are_detected_by_their_key() {
        for key in [
            "password",
            "api_key",
            "apiKey",
            "API-KEY",
            "x_token",
            "client_secret",
            "dbPassword",
            "APIToken",
            "DBPassword",
            "JWTToken",
            "tokens",
            "secrets",
            "access_tokens",
            "apiKeys",
            "pwd",
            "password1",
            "token2",
            "credentials",
        ] {
            assert!(is_secret_key(key), "{key}");
        }
        for key in [
            "api_key_ref",
            "token_id",
            "secretRef",
            "monkey",
            "tone",
            "max_tokens",
            "token_limit",
            "key",
            "access",
            "keys",
        ] {
            assert!(!is_secret_key(key), "{key}");
        }
    }
}
