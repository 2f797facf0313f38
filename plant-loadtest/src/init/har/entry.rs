//! Entries of a HAR file.

use chrono::DateTime;
use percent_encoding::percent_decode_str;

use super::credential::looks_like_credential;
use crate::{
    init::{
        draft::{Draft, RemarkKind},
        value::Value,
    },
    methods::METHODS,
};

/// Endings of static files, which browsers cache.
const STATIC: [&str; 18] = [
    ".js", ".mjs", ".css", ".map", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp",
    ".avif", ".woff", ".woff2", ".ttf", ".otf", ".mp4", ".wasm",
];

/// A recorded request with its response.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Scheme, host and port.
    pub origin: String,
    /// Method in capital letters.
    pub method: String,
    /// Path, percent-encoded as recorded.
    pub path: String,
    /// Decoded query parameters.
    pub query: Fields,
    /// Request headers.
    pub headers: Fields,
    /// The recorded body.
    pub post_data: Option<Value>,
    /// Status of the response; 0 if there was none.
    pub status: i64,
    /// JSON body of the response.
    pub response: Option<Value>,
    /// Start, in milliseconds since 1970.
    pub started_ms: Option<i64>,
    duration_ms: f64,
    mime_type: String,
    resource_type: String,
}

impl Entry {
    /// Reads all entries over HTTP, ordered by their start.
    pub fn read_all(entries: &[Value], draft: &mut Draft) -> Vec<Self> {
        let mut read = Vec::new();
        for (number, entry) in entries.iter().enumerate() {
            match Self::read(entry) {
                Ok(entry) => read.push(entry),
                Err(reason) => {
                    let place = format!("entry {}", number + 1);
                    draft.remark(RemarkKind::LeftOut, place, reason);
                }
            }
        }
        read.sort_by_key(|entry| entry.started_ms.unwrap_or(i64::MAX));
        read
    }

    fn read(entry: &Value) -> Result<Self, String> {
        let request = entry.get("request").ok_or("`request` is missing")?;
        let url = request.text_of("url").ok_or("`request.url` is missing")?;
        let method = request.text_of("method").ok_or("`request.method` is missing")?;
        let (origin, path, query) = split_url(url)?;
        let response = entry.get("response");
        let content = response.and_then(|response| response.get("content"));
        let started = entry.text_of("startedDateTime").unwrap_or_default();
        let started = DateTime::parse_from_rfc3339(started).ok();
        let mime_type = content.and_then(|content| content.text_of("mimeType")).unwrap_or_default();
        Ok(Self {
            origin,
            method: method.to_ascii_uppercase(),
            path,
            query,
            headers: pairs(request.get("headers")),
            post_data: request.get("postData").cloned(),
            status: response
                .and_then(|response| response.get("status"))
                .and_then(Value::integer)
                .unwrap_or(0),
            response: content.and_then(json_body),
            started_ms: started.map(|started| started.timestamp_millis()),
            duration_ms: entry.get("time").and_then(Value::number).unwrap_or(0.0),
            mime_type: mime_type.to_ascii_lowercase(),
            resource_type: entry.text_of("_resourceType").unwrap_or_default().to_owned(),
        })
    }

    /// Method and path, without credentials in it.
    pub fn place(&self) -> String {
        format!("{} {}", self.method, shown_path(&self.path))
    }

    /// End of the response, in milliseconds since 1970.
    pub fn ended_ms(&self) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "a cast saturates")]
        let duration = self.duration_ms.max(0.0) as i64;
        Some(self.started_ms?.saturating_add(duration))
    }

    /// Why the request is not part of a profile.
    pub fn why_not(&self) -> Option<String> {
        let path = self.path.to_ascii_lowercase();
        let is_static = ["stylesheet", "script", "image", "font", "media"]
            .contains(&self.resource_type.as_str())
            || STATIC.iter().any(|ending| path.ends_with(ending))
            || ["image/", "font/", "video/", "audio/", "text/css"]
                .iter()
                .any(|prefix| self.mime_type.starts_with(prefix))
            || self.mime_type.contains("javascript");
        if self.method == "OPTIONS" || self.resource_type == "preflight" {
            Some("preflight requests".into())
        } else if !METHODS.contains(&self.method.as_str()) {
            Some(format!("requests with the method {}", self.method))
        } else if self.status == 101 || self.resource_type == "websocket" {
            Some("WebSocket connections".into())
        } else if is_static && self.method == "GET" {
            Some("static files, which browsers cache".into())
        } else if self.status <= 0 {
            Some("requests without a response".into())
        } else if self.status >= 400 {
            Some(format!("requests that failed with {} when they were recorded", self.status))
        } else {
            None
        }
    }

    /// The status of an uncached response.
    pub fn expected_status(&self) -> u16 {
        match self.status {
            304 => 200,
            status => u16::try_from(status).unwrap_or(200),
        }
    }

    /// Whether this is the page that the browser opened.
    fn is_document(&self) -> bool {
        self.resource_type == "document"
            || (self.resource_type.is_empty() && self.mime_type.starts_with("text/html"))
    }
}

/// The origin of the first document, or of the first request.
pub fn first_origin(entries: &[Entry]) -> Option<String> {
    let first = entries.iter().find(|entry| entry.is_document()).or_else(|| entries.first());
    first.map(|entry| entry.origin.clone())
}

/// Decodes a segment of a path.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A path that can be shown: without segments that look like credentials.
pub fn shown_path(path: &str) -> String {
    let shown = path
        .split('/')
        .map(|segment| if looks_like_credential(&decode(segment)) { "…" } else { segment });
    shown.collect::<Vec<_>>().join("/")
}

/// Names and values, decoded.
pub type Fields = Vec<(String, String)>;

/// Splits a URL into origin, path and query.
fn split_url(url: &str) -> Result<(String, String, Fields), String> {
    let (scheme, rest) = url.split_once("://").ok_or("not a request over HTTP")?;
    if !["http", "https"].contains(&scheme) {
        return Err(format!("a request over {scheme}"));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = before.split_at(before.find('/').unwrap_or(before.len()));
    // A user name and a password in the URL are credentials.
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() {
        return Err("its URL has no host".into());
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((format!("{scheme}://{}", host.to_ascii_lowercase()), path.to_owned(), fields(query)))
}

/// Decodes the fields of a query or of a form.
pub fn fields(text: &str) -> Fields {
    let decode = |text: &str| decode(&text.replace('+', " "));
    text.split('&')
        .filter(|field| !field.is_empty())
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// Names and values of a list such as `headers`. Pseudo headers of HTTP/2 are left out.
pub fn pairs(list: Option<&Value>) -> Fields {
    let items = list.map_or(&[][..], Value::items).iter();
    items
        .filter_map(|item| {
            let name = item.text_of("name").filter(|name| !name.starts_with(':'))?;
            Some((name.to_owned(), item.text_of("value").unwrap_or_default().to_owned()))
        })
        .collect()
}

fn json_body(content: &Value) -> Option<Value> {
    if !content.text_of("mimeType")?.to_ascii_lowercase().contains("json") {
        return None;
    }
    if content.text_of("encoding").is_some() {
        return None;
    }
    serde_json::from_str(content.text_of("text")?).ok()
}
