//! Reads the body of a request: `json`, `form`, `body` or `multipart`.

use std::{fs, path::Path};

use reqwest::{Method, header::HeaderValue};
use toml::{Spanned, de::DeValue};

use super::Reader;
use crate::{
    placeholder::{Piece, pieces},
    scenario::data::{
        body::{Body, BodyBuilder, Encoding, push_json},
        names::Scope,
        template::Placeholder,
    },
    toml_source::{self, Table},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// A file of a multipart body.
struct File {
    name: String,
    content_type: String,
    bytes: Vec<u8>,
}

impl<'a> Reader<'_, 'a> {
    /// Reads the body of a step.
    pub(super) fn body(
        &mut self,
        table: &mut Table<'a>,
        method: Option<&Method>,
        scope: Scope,
    ) -> Option<Body> {
        let kinds = ["json", "form", "body", "multipart"];
        let found: Vec<&str> = kinds.into_iter().filter(|key| table.contains_key(key)).collect();
        if let [_, second, ..] = found[..] {
            let message = "a request has at most one of `json`, `form`, `body` and `multipart`";
            self.source.add_error(table.span_of(second), message);
        }
        if let [first, ..] = found[..]
            && method == Some(&Method::HEAD)
        {
            self.source.add_error(table.span_of(first), "a HEAD request has no body");
        }
        if table.contains_key("content_type") && !found.contains(&"body") {
            let message = "`content_type` belongs to `body`; other bodies have theirs";
            self.source.add_error(table.span_of("content_type"), message);
        }
        let content_type = self.content_type(table);
        // Every kind is read, so that the errors of all are found.
        let json = table.take("json").map(|value| self.json_body(&value, scope));
        let form = table.table(self.source, "form").map(|form| self.form(form, scope));
        let text = table.optional_string(self.source, "body").map(|(text, at)| {
            let mut builder = BodyBuilder::default();
            self.push_pieces(&mut builder, &text, &at, scope, Encoding::Text);
            builder.build(content_type.unwrap_or(TEXT))
        });
        let multipart = table.table(self.source, "multipart");
        let multipart = multipart.map(|fields| self.multipart(fields, scope));
        json.or(form).or(text).or(multipart)
    }

    fn content_type(&mut self, table: &mut Table<'a>) -> Option<HeaderValue> {
        let (text, at) = table.optional_string(self.source, "content_type")?;
        let value = HeaderValue::try_from(text);
        value.map_err(|_| self.source.add_error(at, "`content_type` is not a header value")).ok()
    }

    fn json_body(&mut self, value: &Spanned<DeValue<'a>>, scope: Scope) -> Body {
        let mut builder = BodyBuilder::default();
        self.push_json_value(&mut builder, value, scope);
        builder.build(JSON)
    }

    fn push_json_value(
        &mut self,
        builder: &mut BodyBuilder,
        value: &Spanned<DeValue<'a>>,
        scope: Scope,
    ) {
        let at = value.span();
        match value.get_ref() {
            DeValue::String(text) => match pieces(text)[..] {
                // Keeps the type of the value.
                [Piece::Placeholder(name)] => {
                    let placeholder = Placeholder::compile(name, &mut self.names, scope, at);
                    builder.push_placeholder(placeholder, Encoding::Json);
                }
                _ => {
                    builder.push(b"\"");
                    self.push_pieces(builder, text, &at, scope, Encoding::JsonText);
                    builder.push(b"\"");
                }
            },
            DeValue::Array(items) => {
                builder.push(b"[");
                for (index, item) in items.iter().enumerate() {
                    builder.push(if index > 0 { b"," } else { b"" });
                    self.push_json_value(builder, item, scope);
                }
                builder.push(b"]");
            }
            DeValue::Table(table) => {
                let mut entries: Vec<_> = table.iter().collect();
                entries.sort_by_key(|(key, _)| key.span().start);
                builder.push(b"{");
                for (index, (key, value)) in entries.into_iter().enumerate() {
                    builder.push(if index > 0 { b"," } else { b"" });
                    let key = self.key(key.get_ref(), key.span());
                    push_json(builder, &key.into());
                    builder.push(b":");
                    self.push_json_value(builder, value, scope);
                }
                builder.push(b"}");
            }
            other => match toml_source::to_json(other) {
                Ok(value) => push_json(builder, &value),
                Err(message) => self.source.add_error(at, message),
            },
        }
    }

    fn form(&mut self, table: Table<'a>, scope: Scope) -> Body {
        let mut builder = BodyBuilder::default();
        for (index, entry) in table.into_entries().into_iter().enumerate() {
            builder.push(if index > 0 { b"&" } else { b"" });
            let key = self.key(&entry.key, entry.key_at);
            builder.push_text(&key, Encoding::Form);
            builder.push(b"=");
            self.push_scalar(&mut builder, &entry.key, &entry.value, scope, Encoding::Form);
        }
        builder.build(FORM)
    }

    fn multipart(&mut self, table: Table<'a>, scope: Scope) -> Body {
        let boundary = format!("plant-loadtest-{:032x}", fastrand::u128(..));
        let mut builder = BodyBuilder::default();
        for entry in table.into_entries() {
            let name = quoted(&self.key(&entry.key, entry.key_at));
            builder.push(format!("--{boundary}\r\n").as_bytes());
            builder.push(format!("Content-Disposition: form-data; name=\"{name}\"").as_bytes());
            if matches!(entry.value.get_ref(), DeValue::Table(_)) {
                if let Some(file) = self.file(entry.value) {
                    let file_name = quoted(&file.name);
                    builder.push(format!("; filename=\"{file_name}\"\r\n").as_bytes());
                    builder.push(format!("Content-Type: {}\r\n\r\n", file.content_type).as_bytes());
                    builder.push(&file.bytes);
                }
            } else {
                builder.push(b"\r\n\r\n");
                self.push_scalar(&mut builder, &entry.key, &entry.value, scope, Encoding::Text);
            }
            builder.push(b"\r\n");
        }
        builder.push(format!("--{boundary}--\r\n").as_bytes());
        let content_type =
            HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
        // The boundary consists of letters, digits and hyphens.
        builder.build(content_type.unwrap_or(TEXT))
    }

    /// Reads `{ file = …, type = … }` and the file.
    fn file(&mut self, value: Spanned<DeValue<'a>>) -> Option<File> {
        let mut table = Table::from_value(value)?;
        let path = table.string(self.source, "file");
        let content_type = table.optional_string(self.source, "type");
        table.report_unknown_keys(self.source);
        if let Some((text, at)) = &content_type
            && HeaderValue::try_from(text).is_err()
        {
            self.source.add_error(at.clone(), "`type` is not a header value");
        }
        let (path, at) = path?;
        let path = self.folder.join(path);
        let content_type =
            content_type.map_or_else(|| "application/octet-stream".to_owned(), |(text, _)| text);
        match fs::read(&path) {
            Ok(bytes) => Some(File { name: file_name(&path), content_type, bytes }),
            Err(error) => {
                self.source.add_error(at, format!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn push_scalar(
        &mut self,
        builder: &mut BodyBuilder,
        key: &str,
        value: &Spanned<DeValue<'a>>,
        scope: Scope,
        encoding: Encoding,
    ) {
        let at = value.span();
        match value.get_ref() {
            DeValue::String(text) => self.push_pieces(builder, text, &at, scope, encoding),
            DeValue::Array(_) | DeValue::Table(_) => {
                let message = format!("`{key}` must be a text, a number or a boolean");
                self.source.add_error(at, message);
            }
            other => match toml_source::to_json(other) {
                Ok(serde_json::Value::String(text)) => builder.push_text(&text, encoding),
                Ok(value) => builder.push_text(&value.to_string(), encoding),
                Err(message) => self.source.add_error(at, message),
            },
        }
    }

    fn push_pieces(
        &mut self,
        builder: &mut BodyBuilder,
        text: &str,
        at: &std::ops::Range<usize>,
        scope: Scope,
        encoding: Encoding,
    ) {
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => builder.push_text(&text, encoding),
                Piece::Placeholder(name) => {
                    let at = at.clone();
                    let placeholder = Placeholder::compile(name, &mut self.names, scope, at);
                    builder.push_placeholder(placeholder, encoding);
                }
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Escapes a name in `Content-Disposition` as browsers do.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
