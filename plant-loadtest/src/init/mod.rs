//! Starter profiles from what a team has: an OpenAPI document, a recorded browser session, a
//! Locust file.
//!
//! Each converter is a pure function from a text to a [`draft::Draft`] with remarks on everything
//! that it could not convert; [`toml_text::render`] writes a draft as a profile.

mod destructive;
pub mod draft;
pub mod har;
pub mod locust;
pub mod names;
pub mod openapi;
pub mod toml_text;
pub mod value;

/// Longest text that is converted, in bytes.
pub const LONGEST_TEXT: usize = 256 << 20;

/// A text that cannot be converted at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConvertError {
    /// File or URL, with the line where it is known.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl ConvertError {
    /// Creates an error.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}
