//! The writer: a language model that writes the note to a ticket from its context. When the model
//! fails, a template takes its place, so a ticket never fails because of the writer.

mod endpoint;
mod simulated;
mod template;
#[cfg(test)]
mod tests;

use crate::config::WriterConfig;
use crate::http_client::HttpClient;

use super::circuits::Circuits;
use super::context::Context;
use super::sql::QueuedTicket;
use endpoint::Endpoint;
use simulated::SimulatedWriter;

/// Maximum length of an enhancement.
pub const MAX_WORDS: usize = 500;

/// What an enhancement is written from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub ticket: &'a QueuedTicket,
    pub context: &'a Context,
}

/// The configured writer.
pub enum Writer {
    Simulated(SimulatedWriter),
    Endpoint(Box<Endpoint>),
}

impl Writer {
    pub fn new(config: WriterConfig, client: HttpClient, circuits: Circuits) -> Self {
        match config {
            WriterConfig::Simulated(config) => Self::Simulated(SimulatedWriter(config)),
            WriterConfig::Endpoint { url, model, api_key } => {
                Self::Endpoint(Box::new(Endpoint { url, model, api_key, client, circuits }))
            }
        }
    }

    /// Writes an enhancement of at most [`MAX_WORDS`] words.
    pub async fn write(&self, source: Source<'_>) -> String {
        let written = match self {
            Self::Simulated(writer) => writer.write(source).await,
            Self::Endpoint(endpoint) => endpoint.write(source).await,
        };
        let text = written.and_then(|text| {
            let text = shorten(&text, MAX_WORDS);
            if text.is_empty() { Err("the text is empty".to_owned()) } else { Ok(text) }
        });
        text.unwrap_or_else(|reason| {
            tracing::warn!(reason, "the writer failed; using the template");
            shorten(&template::write(source), MAX_WORDS)
        })
    }
}

/// Returns the first `max_words` words of a text, with the white space between them, and without NUL,
/// which PostgreSQL cannot store.
fn shorten(text: &str, max_words: usize) -> String {
    let text = text.replace('\0', "");
    let text = text.trim();
    let mut in_word = false;
    let mut words = 0;
    let end = text.char_indices().find(|(_, char)| {
        let starts_word = !char.is_whitespace() && !in_word;
        in_word = !char.is_whitespace();
        words += usize::from(starts_word);
        words > max_words
    });
    let end = end.map_or(text.len(), |(index, _)| index);
    text[..end].trim_end().to_owned()
}

/// Returns the first `max_chars` characters of a text.
fn clip(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}
