//! Bodies of recorded requests, by their content type.

use super::{
    Recording, credential,
    entry::{self, Entry, Fields},
    multipart::{self, Field},
};
use crate::{
    init::{
        draft::{Body, Part},
        value::Value,
    },
    placeholder::{FILL_IN, escape},
};

/// A recorded body.
enum Recorded {
    None,
    Json(Value),
    Form(Fields),
    Multipart(Vec<Field>),
    Text(String),
    /// A body that cannot be part of a profile as it is, with the reason.
    Unusable(&'static str),
}

impl Entry {
    fn body(&self) -> Recorded {
        let Some(data) = &self.post_data else { return Recorded::None };
        let text = data.text_of("text").unwrap_or_default();
        if data.text_of("encoding").is_some() || text.contains(['\u{0}', '\u{fffd}']) {
            return Recorded::Unusable("its body is binary");
        }
        let content_type = self.content_type();
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.contains("json")
            && let Ok(json) = serde_json::from_str(text)
        {
            return Recorded::Json(json);
        }
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Recorded::Form(if text.is_empty() {
                entry::pairs(data.get("params"))
            } else {
                entry::fields(text)
            }),
            "multipart/form-data" => multipart_body(data, text, &content_type),
            _ if text.is_empty() => Recorded::None,
            // Fields of JSON and of forms are replaced one by one, those of other texts are not known.
            _ if credential::may_contain_credential(text) => {
                Recorded::Unusable("its body may contain credentials, look through it")
            }
            _ => Recorded::Text(text.to_owned()),
        }
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

/// The fields that the recording lists, or those of the text.
fn multipart_body(data: &Value, text: &str, content_type: &str) -> Recorded {
    let params = data.get("params").map_or(&[][..], Value::items);
    let field = |param: &Value| {
        let text_of = |key: &str| param.text_of(key).map(str::to_owned);
        Some(Field {
            name: text_of("name")?,
            file: text_of("fileName"),
            content_type: text_of("contentType"),
            value: text_of("value").unwrap_or_default(),
        })
    };
    let fields = if params.is_empty() && text.is_empty() {
        return Recorded::None;
    } else if params.is_empty() {
        multipart::fields(text, content_type)
    } else {
        params.iter().map(field).collect()
    };
    fields.map_or(Recorded::Unusable("the fields of its body are not read"), Recorded::Multipart)
}

impl Recording {
    /// The body of a request, with variables for what responses gave and for credentials, and why it
    /// cannot be sent as it is.
    pub fn body(&mut self, entry: &Entry, place: &str) -> (Body, Option<String>) {
        let fill_in = || Body::Text { text: FILL_IN.into(), content_type: entry.content_type() };
        match entry.body() {
            Recorded::None => (Body::None, None),
            Recorded::Json(json) => (Body::Json(self.json(json, "", place)), None),
            Recorded::Form(fields) => {
                let fields = fields.into_iter().map(|(name, value)| {
                    let value = self.replaced(&name, &value, place);
                    (name, Value::Text(value))
                });
                match Body::form(fields.collect()) {
                    Ok(body) => (body, None),
                    Err(reason) => (fill_in(), Some(reason)),
                }
            }
            Recorded::Multipart(fields) => self.multipart(fields, place),
            Recorded::Text(text) => {
                let content_type = entry.content_type();
                (Body::Text { text: escape(&text), content_type }, None)
            }
            Recorded::Unusable(reason) => (fill_in(), Some(reason.into())),
        }
    }

    fn multipart(&mut self, fields: Vec<Field>, place: &str) -> (Body, Option<String>) {
        let mut parts: Vec<(String, Part)> = Vec::new();
        let mut problem = None;
        for Field { name, file, content_type, value } in fields {
            if parts.iter().any(|(other, _)| *other == name) {
                problem = Some("its body has a field twice".to_owned());
                continue;
            }
            let part = match (file, content_type) {
                (Some(file), content_type) => {
                    problem = Some("its body contains a file".to_owned());
                    Part::File { file, content_type: content_type.unwrap_or_default() }
                }
                (None, content_type) => {
                    if content_type.is_some_and(|kind| !kind.starts_with("text/plain")) {
                        problem = Some(format!("`{name}` of its body has a content type"));
                    }
                    Part::Text(self.replaced(&name, &value, place))
                }
            };
            parts.push((name, part));
        }
        (Body::Multipart(parts), problem)
    }

    fn json(&mut self, value: Value, name: &str, place: &str) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.replaced(name, &text, place)),
            Value::Integer(_) | Value::Float(_) if credential::is_credential(name) => {
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
