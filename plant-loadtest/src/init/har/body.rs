//! Bodies of recorded requests, by their content type.

use super::{
    Recording,
    entry::{self, Entry},
};
use crate::{
    init::{
        draft::{Body, Part},
        value::Value,
    },
    placeholder::escape,
};

impl Entry {
    /// Why the body cannot be part of a profile as it is.
    pub fn unusable_body(&self) -> Option<String> {
        let data = self.post_data.as_ref()?;
        let file = params(data).iter().any(|part| part.text_of("fileName").is_some());
        if file {
            return Some("its body contains a file".into());
        }
        let text = data.text_of("text").unwrap_or_default();
        let binary = data.text_of("encoding").is_some() || text.contains(['\u{0}', '\u{fffd}']);
        if binary {
            return Some("its body is binary".into());
        }
        // Fields of JSON and of forms are replaced one by one, those of other texts are not known.
        (!self.has_fields() && super::is_credential(text))
            .then(|| "its body may contain credentials, look through it".into())
    }

    /// Whether the body is JSON or a form.
    fn has_fields(&self) -> bool {
        let kind = self.content_type().to_ascii_lowercase();
        let text = self.post_data.as_ref().and_then(|data| data.text_of("text"));
        let is_json = kind.contains("json")
            && text.is_some_and(|text| serde_json::from_str::<Value>(text).is_ok());
        is_json
            || kind.starts_with("application/x-www-form-urlencoded")
            || kind.starts_with("multipart/")
    }

    fn content_type(&self) -> String {
        let data = self.post_data.as_ref();
        let recorded = data.and_then(|data| data.text_of("mimeType")).unwrap_or_default();
        let header =
            self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let text = header.map_or(recorded, |(_, value)| value);
        if text.is_empty() { "text/plain".into() } else { text.to_owned() }
    }
}

impl Recording {
    /// The body of a request, with variables for what responses gave and for credentials.
    pub fn body(&mut self, entry: &Entry, place: &str) -> Body {
        let Some(data) = &entry.post_data else { return Body::None };
        let text = data.text_of("text").unwrap_or_default();
        let content_type = entry.content_type();
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.contains("json")
            && let Ok(json) = serde_json::from_str::<Value>(text)
        {
            return Body::Json(self.json(json, "", place));
        }
        let recorded = fields(data);
        match kind.as_str() {
            "application/x-www-form-urlencoded" => {
                let fields = if text.is_empty() { recorded } else { entry::fields(text) };
                let fields = fields.into_iter().map(|(name, value)| {
                    let value = self.replaced(&name, &value, place);
                    (name, Value::Text(value))
                });
                Body::Form(fields.collect())
            }
            "multipart/form-data" if !recorded.is_empty() => {
                let parts = params(data).iter().filter_map(|part| {
                    let name = part.text_of("name")?;
                    let text = part.text_of("value").unwrap_or_default();
                    let part = match part.text_of("fileName") {
                        Some(file) => Part::File {
                            file: file.to_owned(),
                            content_type: part
                                .text_of("contentType")
                                .unwrap_or_default()
                                .to_owned(),
                        },
                        None => Part::Text(self.replaced(name, text, place)),
                    };
                    Some((name.to_owned(), part))
                });
                Body::Multipart(parts.collect())
            }
            _ if text.is_empty() => Body::None,
            _ => Body::Text { text: escape(text), content_type },
        }
    }

    fn json(&mut self, value: Value, name: &str, place: &str) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.replaced(name, &text, place)),
            Value::Integer(_) | Value::Float(_) if super::is_credential(name) => {
                Value::Text(self.secret(name, place))
            }
            Value::List(items) => {
                Value::List(items.into_iter().map(|item| self.json(item, name, place)).collect())
            }
            Value::Table(entries) => Value::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let value = self.json(value, &key, place);
                        (key, value)
                    })
                    .collect(),
            ),
            other => other,
        }
    }
}

fn fields(data: &Value) -> Vec<(String, String)> {
    entry::pairs(data.get("params"))
}

fn params(data: &Value) -> &[Value] {
    data.get("params").map_or(&[][..], Value::items)
}
