//! Responses to requests that never reach the router: those that hyper rejects by itself, because
//! they are not valid HTTP/1.1 or too large, and those that violate a rule of `message.rs`. hyper sends
//! its rejections without a body, which is added here.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use memchr::memmem;
use uuid::Uuid;

use crate::error::{Error, Problem};
use crate::limit::{MAX_HEADER_BYTES, MAX_HEADERS, MAX_URI_BYTES};

/// Returns whether `head` is a rejection by hyper. Errors of the router have a body and a request
/// id.
pub fn is_rejection(head: &[u8]) -> bool {
    [b"HTTP/1.1 400", b"HTTP/1.1 414", b"HTTP/1.1 431"].iter().any(|s| head.starts_with(*s))
        && memmem::find(head, b"\r\ncontent-length: 0\r\n").is_some()
        && memmem::find(head, b"\r\nx-request-id:").is_none()
}

/// Returns the response to send in place of hyper's rejection. `line_ended` is whether the client
/// has sent a whole request line: if not, its URI is too long.
pub fn problem_response(rejection: &[u8], line_ended: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(rejection);
    let error = match (text.get(9..12), line_ended) {
        (Some("431"), true) => {
            Error::HeadersTooLarge { max_bytes: MAX_HEADER_BYTES, max_headers: MAX_HEADERS }
        }
        (Some("414" | "431"), _) => Error::UriTooLong { limit: MAX_URI_BYTES },
        _ => Error::Malformed("the request is not valid HTTP/1.1".into()),
    };
    let (problem, body) = problem(error);
    let id = &problem.request_id;
    let mut response = format!("HTTP/1.1 {} {}\r\n", problem.status, problem.title);
    // Keeps `connection: close` and `date`.
    for header in text.lines().skip(1).filter(|line| !line.is_empty()) {
        if !header.starts_with("content-length") {
            response += &format!("{header}\r\n");
        }
    }
    response += &format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\n\
         x-request-id: {id}\r\nx-correlation-id: {id}\r\n\r\n{body}",
        body.len()
    );
    response.into_bytes()
}

/// Returns the response to a request that was parsed, but is refused.
pub fn response(error: Error) -> Response<Body> {
    let status = error.status();
    let (problem, body) = problem(error);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    // A UUID is a valid header value.
    if let Ok(id) = HeaderValue::try_from(problem.request_id) {
        headers.insert("x-request-id", id.clone());
        headers.insert("x-correlation-id", id);
    }
    *response.headers_mut() = headers;
    response
}

/// Returns the problem of a request that never reaches the router, and its JSON.
fn problem(error: Error) -> (Problem, String) {
    let id = Uuid::now_v7();
    tracing::debug!(request_id = %id, %error, "request rejected before routing");
    let mut problem = Problem::from(error);
    problem.request_id = id.to_string();
    // Serializing strings and numbers cannot fail.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    (problem, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REJECTION: &str = "HTTP/1.1 431 Request Header Fields Too Large\r\n\
        connection: close\r\ncontent-length: 0\r\ndate: Tue, 01 Jul 2025 10:00:00 GMT\r\n\r\n";

    fn response(rejection: &str, line_ended: bool) -> (String, serde_json::Value) {
        let response =
            String::from_utf8(problem_response(rejection.as_bytes(), line_ended)).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn a_rejection_becomes_a_problem_with_the_same_headers() {
        let (head, problem) = response(REJECTION, true);
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{head}");
        for header in [
            "connection: close",
            "date: Tue, 01 Jul 2025 10:00:00 GMT",
            "content-type: application/problem+json",
        ] {
            assert!(head.contains(&format!("\r\n{header}\r\n")), "{header}: {head}");
        }
        assert!(!head.contains("content-length: 0"), "{head}");
        let id = problem["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("\r\nx-request-id: {id}\r\nx-correlation-id: {id}")));
        assert_eq!(problem["code"], "headers-too-large");
        assert_eq!(problem["status"], 431);
    }

    #[test]
    fn a_request_line_without_end_is_a_uri_that_is_too_long() {
        let (head, problem) = response(REJECTION, false);
        assert!(head.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{head}");
        assert_eq!(problem["code"], "uri-too-long");
        let (_, problem) = response(&REJECTION.replace("431", "400"), true);
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&"malformed-request".into(), &400.into())
        );
    }

    #[test]
    fn only_responses_without_body_and_request_id_are_rejections() {
        for status in ["400", "414", "431"] {
            assert!(is_rejection(REJECTION.replace("431", status).as_bytes()), "{status}");
        }
        for other in [
            REJECTION.replace("length: 0", "length: 10"),
            REJECTION.replace("connection: close", "x-request-id: 1"),
            REJECTION.replace("431", "200"),
            REJECTION.replace("431", "404"),
        ] {
            assert!(!is_rejection(other.as_bytes()), "{other}");
        }
    }
}
