//! Values that a response gave and a later request sends: ids and tokens in JSON.

use std::collections::{HashMap, HashSet};

use super::entry::Entry;
use crate::init::value::{Value, pointer_segment};

/// Shorter texts are equal by chance.
const SHORTEST: usize = 8;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Number of the step.
    pub step: usize,
    /// JSON pointer in its response.
    pub pointer: String,
}

/// Values that responses gave, each with the first response that has it at one place only.
#[derive(Debug, Default)]
pub struct Known {
    origins: HashMap<String, Origin>,
    ambiguous: HashMap<String, (usize, Vec<String>)>,
}

/// Texts that were sent: a response that repeats one does not give it.
#[derive(Debug, Default)]
pub struct SentTexts {
    texts: HashSet<String>,
}

impl Known {
    /// Returns where `text` comes from, if that is unambiguous.
    pub fn origin(&self, text: &str) -> Option<Origin> {
        self.origins.get(text).cloned()
    }

    /// Returns the step and the pointers of a value that is at several places of its response.
    pub fn ambiguous(&self, text: &str) -> Option<(usize, Vec<String>)> {
        self.ambiguous.get(text).cloned()
    }

    /// Adds the values of a response.
    pub fn add_response(&mut self, step: usize, entry: &Entry, sent: &SentTexts) {
        let Some(body) = &entry.response else { return };
        let mut found: Vec<(&str, String)> = Vec::new();
        collect(body, &mut String::new(), &mut found);
        let mut pointers: HashMap<&str, Vec<String>> = HashMap::new();
        for (text, pointer) in found {
            pointers.entry(text).or_default().push(pointer);
        }
        for (text, mut pointers) in pointers {
            if sent.texts.contains(text) || self.origins.contains_key(text) {
                continue;
            }
            match (pointers.len(), pointers.pop()) {
                (1, Some(pointer)) => {
                    self.origins.insert(text.to_owned(), Origin { step, pointer });
                }
                (_, Some(last)) => {
                    pointers.push(last);
                    pointers.truncate(3);
                    self.ambiguous.entry(text.to_owned()).or_insert((step, pointers));
                }
                _ => {}
            }
        }
    }
}

impl SentTexts {
    /// Adds what a request sends.
    pub fn add_request(&mut self, entry: &Entry) {
        self.texts.extend(entry.path.split('/').map(super::entry::decode));
        self.texts.extend(entry.query.iter().map(|(_, value)| value.clone()));
        let Some(text) = entry.post_data.as_ref().and_then(|data| data.text_of("text")) else {
            return;
        };
        match serde_json::from_str::<Value>(text) {
            Ok(body) => body.for_each_text(&mut |text| {
                self.texts.insert(text.to_owned());
            }),
            Err(_) => {
                let fields = super::entry::fields(text).into_iter();
                self.texts.extend(fields.map(|(_, value)| value));
            }
        }
    }
}

/// All texts of a body that are long enough, with their pointers.
fn collect<'a>(value: &'a Value, pointer: &mut String, found: &mut Vec<(&'a str, String)>) {
    let length = pointer.len();
    match value {
        Value::Text(text) if text.len() >= SHORTEST => found.push((text, pointer.clone())),
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                collect(item, pointer, found);
                pointer.truncate(length);
            }
        }
        Value::Table(entries) => {
            for (key, value) in entries {
                pointer.push_str(&format!("/{}", pointer_segment(key)));
                collect(value, pointer, found);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
