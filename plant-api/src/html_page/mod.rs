//! Pages for operators: one file each, without external resources. Their Content-Security-Policy allows
//! only their own style and script, by their hashes, and requests to this service.

#[cfg(test)]
mod tests;

use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

/// A page. It contains no data, so it needs no rights; its requests do.
#[derive(Debug)]
pub struct HtmlPage {
    html: String,
    policy: String,
}

impl HtmlPage {
    /// Creates a page from its text, which has one `<style>`, one `<script>`, and the marks
    /// `/* page.css */`, `// page.js` and `<!-- page.html -->` where those that the pages share belong.
    pub fn new(text: &str) -> Self {
        let html = text
            .replace("/* page.css */", include_str!("page.css"))
            .replace("// page.js", include_str!("page.js"))
            .replace("<!-- page.html -->", include_str!("page.html"));
        let hash = |element| {
            let content = content_of(&html, element).unwrap_or_default();
            BASE64.encode(Sha256::digest(content))
        };
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash("style"),
            hash("script")
        );
        Self { html, policy }
    }

    /// Returns the response.
    pub fn response(&self) -> Response {
        let headers: [(HeaderName, &str); 5] = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, &self.policy),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, self.html.clone()).into_response()
    }
}

/// Returns the content of the only element of this name in a page.
fn content_of<'a>(html: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = html.split_once(&format!("<{element}>"))?;
    Some(rest.split_once(&format!("</{element}>"))?.0)
}
