//! Reads a table of headers.

use std::ops::Range;

use reqwest::header::{self, HeaderName, HeaderValue};
use toml::de::DeValue;

use crate::toml_source::{Source, Table};

/// Headers that the HTTP client sets itself.
const OWN_HEADERS: [HeaderName; 2] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// A header as it is in the file.
#[derive(Clone, Debug)]
pub(crate) struct HeaderDraft {
    /// Name.
    pub(crate) name: HeaderName,
    /// Value, a text that headers can have.
    pub(crate) text: String,
    /// Byte range of the value in the file.
    pub(crate) at: Range<usize>,
}

/// Reads the entries of a table `headers`.
pub(crate) fn read_headers<'a>(source: &mut Source<'a>, table: Table<'a>) -> Vec<HeaderDraft> {
    let mut drafts: Vec<HeaderDraft> = Vec::new();
    for entry in table.into_entries() {
        let Ok(name) = HeaderName::from_bytes(entry.key.as_bytes()) else {
            let message = format!("`{}` is not a header name", entry.key);
            source.add_error(entry.key_at, message);
            continue;
        };
        if OWN_HEADERS.contains(&name) {
            let message = format!("the HTTP client sets `{}` itself", entry.key);
            source.add_error(entry.key_at, message);
            continue;
        }
        let at = entry.value.span();
        match entry.value.get_ref() {
            DeValue::String(text) if HeaderValue::try_from(&**text).is_ok() => {
                drafts.push(HeaderDraft { name, text: text.to_string(), at });
            }
            DeValue::String(_) => {
                let message = format!("`{}` has characters that no header has", entry.key);
                source.add_error(at, message);
            }
            _ => source.add_error(at, format!("`{}` must be a text", entry.key)),
        }
    }
    drafts
}
