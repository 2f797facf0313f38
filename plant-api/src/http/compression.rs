//! Compresses responses that are complete: JSON and text of at least [`MIN_BYTES`]. Streams are sent
//! as they are.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use crate::content_coding::{Accepted, Coding, Compressed, MIN_BYTES};
use crate::error::Error;
use crate::limit::BodyBudget;

/// Returns the response with the coding that the client accepts. A response with the extension
/// [`Compressed`] is compressed only once.
pub async fn compress(accepted: Accepted, budget: &BodyBudget, mut response: Response) -> Response {
    let Some(length) = compressible_length(&response) else { return response };
    // Also without a coding, because caches must not send this response to other clients.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let is_long = length >= MIN_BYTES as u64;
    let Some(coding) = accepted.coding.filter(|_| is_long || !accepted.identity) else {
        return response;
    };
    let kept = response.extensions_mut().remove::<Arc<Compressed>>();
    if let Some(body) = kept.as_ref().and_then(|kept| kept.get(coding)) {
        *response.body_mut() = Body::from(body);
        set_headers(response.headers_mut(), coding);
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The body is in memory, so that this neither waits nor fails.
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Error::Internal(Box::new(error)).into_response(),
    };
    let plain = body.clone();
    let compress = move |body: &[u8]| {
        Ok(match kept {
            Some(kept) => kept.compress(coding, body),
            None => coding.compress(body),
        })
    };
    match budget.process(body, compress).await {
        Ok(Some(compressed)) => {
            set_headers(&mut parts.headers, coding);
            Response::from_parts(parts, Body::from(compressed))
        }
        // The plain body is better than none.
        Ok(None) | Err(_) => Response::from_parts(parts, Body::from(plain)),
    }
}

/// Returns the length of the body in bytes, if it is complete and its type can be compressed.
fn compressible_length(response: &Response) -> Option<u64> {
    let length = response.body().size_hint().exact().filter(|length| *length > 0)?;
    let headers = response.headers();
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let is_text = content_type.starts_with("text/") || {
        let subtype = content_type.strip_prefix("application/")?;
        subtype.starts_with("json")
            || subtype.starts_with("problem+json")
            || subtype.starts_with("javascript")
    };
    (is_text && !headers.contains_key(header::CONTENT_ENCODING)).then_some(length)
}

fn set_headers(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(header::CONTENT_LENGTH);
    // A strong tag differs for each form of the response (RFC 9110, section 8.8.1).
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    if let Some(version) = tag.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"'))
        && let Ok(tag) = HeaderValue::try_from(format!("\"{version}{}\"", coding.etag_suffix()))
    {
        headers.insert(header::ETAG, tag);
    }
}
