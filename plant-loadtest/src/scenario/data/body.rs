//! Request bodies, compiled once: literal bytes and placeholders. A body without placeholders is
//! built once and shared by all requests.

use bytes::Bytes;
use reqwest::header::HeaderValue;
use serde_json::Value;

use super::{
    template::{Missing, Placeholder},
    values::{Slot, Values},
};

/// A body with its content type.
#[derive(Clone, Debug)]
pub(super) struct Body {
    /// Value of the header `Content-Type`.
    pub(super) content_type: HeaderValue,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Bytes),
    Placeholder(Placeholder, Encoding),
}

/// How the value of a placeholder is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As text.
    Text,
    /// As a JSON value of its type.
    Json,
    /// As text within a JSON string.
    JsonText,
    /// URL-encoded, for forms.
    Form,
}

/// Collects the parts of a body.
#[derive(Debug, Default)]
pub(super) struct BodyBuilder {
    parts: Vec<Part>,
    literal: Vec<u8>,
}

impl BodyBuilder {
    /// Appends literal bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.literal.extend_from_slice(bytes);
    }

    /// Appends literal text in an encoding.
    pub(super) fn push_text(&mut self, text: &str, encoding: Encoding) {
        write_text(text, encoding, &mut self.literal);
    }

    /// Appends a placeholder.
    pub(super) fn push_placeholder(&mut self, placeholder: Placeholder, encoding: Encoding) {
        self.end_literal();
        self.parts.push(Part::Placeholder(placeholder, encoding));
    }

    /// Returns the body.
    pub(super) fn build(mut self, content_type: HeaderValue) -> Body {
        self.end_literal();
        Body { content_type, parts: self.parts }
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(std::mem::take(&mut self.literal).into()));
        }
    }
}

impl Body {
    /// Returns the variables that the body needs.
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Placeholder(placeholder, _) => placeholder.slot(),
        })
    }

    /// Returns the bytes.
    pub(super) fn render(&self, values: &Values) -> Result<Bytes, Missing> {
        match &self.parts[..] {
            [] => return Ok(Bytes::new()),
            [Part::Literal(bytes)] => return Ok(bytes.clone()),
            _ => {}
        }
        let mut out = Vec::with_capacity(256);
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Placeholder(placeholder, Encoding::Json) => {
                    write_json(&placeholder.value(values)?, &mut out);
                }
                Part::Placeholder(placeholder, encoding) => {
                    write_text(&placeholder.text(values)?, *encoding, &mut out);
                }
            }
        }
        Ok(out.into())
    }
}

fn write_text(text: &str, encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Text | Encoding::Json => out.extend_from_slice(text.as_bytes()),
        Encoding::JsonText => {
            let start = out.len();
            write_json(text, out);
            // Without the quotes: the placeholder is a part of a longer string.
            out.pop();
            out.remove(start);
        }
        Encoding::Form => {
            let encoded = form_urlencoded::byte_serialize(text.as_bytes());
            out.extend(encoded.flat_map(str::bytes));
        }
    }
}

fn write_json(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    // Serializing a string or a JSON value to memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a JSON value without placeholders.
pub(super) fn push_json(builder: &mut BodyBuilder, value: &Value) {
    write_json(value, &mut builder.literal);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(value: Value) -> Values {
        let mut values = Values::new(1, 1);
        values.set(Slot(0), Some(value));
        values
    }

    fn body(encoding: Encoding) -> Body {
        let mut builder = BodyBuilder::default();
        builder.push(b"<");
        builder.push_placeholder(Placeholder::Variable(Slot(0)), encoding);
        builder.push(b">");
        builder.build(HeaderValue::from_static("text/plain"))
    }

    #[test]
    fn a_value_is_written_in_its_encoding() {
        for (encoding, value, expected) in [
            (Encoding::Text, json!("a\"b"), "<a\"b>"),
            (Encoding::Json, json!("a\"b"), "<\"a\\\"b\">"),
            (Encoding::Json, json!(1.5), "<1.5>"),
            (Encoding::Json, json!({ "a": [1] }), "<{\"a\":[1]}>"),
            (Encoding::JsonText, json!("a\"b\n"), "<a\\\"b\\n>"),
            (Encoding::JsonText, json!(7), "<7>"),
            (Encoding::Form, json!("a b&c=ü"), "<a+b%26c%3D%C3%BC>"),
        ] {
            let bytes = body(encoding).render(&values(value)).unwrap();
            assert_eq!(bytes, expected.as_bytes(), "{encoding:?}");
        }
    }

    #[test]
    fn a_body_without_placeholders_is_shared() {
        let mut builder = BodyBuilder::default();
        builder.push(b"{\"a\":");
        push_json(&mut builder, &json!([1, "x"]));
        builder.push(b"}");
        let body = builder.build(HeaderValue::from_static("application/json"));
        let (first, second) =
            (body.render(&Values::default()).unwrap(), body.render(&Values::default()).unwrap());
        assert_eq!(first, "{\"a\":[1,\"x\"]}");
        assert_eq!(first.as_ptr(), second.as_ptr());
    }

    #[test]
    fn a_variable_without_a_value_is_reported() {
        assert_eq!(body(Encoding::Text).render(&Values::new(1, 1)), Err(Missing(Slot(0))));
    }
}
