//! Requests that never reach the router.

use super::*;
use crate::limit::MAX_HEADERS;

pub async fn rejection(server: &TestServer, request: impl AsRef<[u8]>) -> Response {
    let mut client = server.connect().await;
    client.write(request).await;
    let response = client.read_response().await;
    assert!(response.announces_close(), "{response:?}");
    assert!(
        response.head.contains("\r\ncontent-type: application/problem+json\r\n"),
        "{response:?}"
    );
    client.expect_end().await;
    response
}

pub fn code(response: &Response) -> String {
    let problem: serde_json::Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(problem["status"], response.status());
    problem["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rejected_requests_are_answered_with_a_problem() {
    let server = TestServer::start(router(), CONFIG).await;
    let many = "x: y\r\n".repeat(MAX_HEADERS + 1);
    let large = format!("x: {}\r\n", "y".repeat(2 * MAX_HEADER_BYTES));
    let huge_line = format!("/{}", "x".repeat(HUGE));
    for (request, status, expected) in [
        (head("GET", "/small", &many), 431, "headers-too-large"),
        (head("GET", "/small", &large), 431, "headers-too-large"),
        (head("GET", &huge_line, ""), 414, "uri-too-long"),
        (head("GET", "/small", "content-length: many\r\n"), 400, "malformed-request"),
        (head("GET", "/small", "no colon\r\n"), 400, "malformed-request"),
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed-request"),
    ] {
        let response = rejection(&server, &request).await;
        assert_eq!((response.status(), code(&response).as_str()), (status, expected));
    }
}

#[tokio::test]
async fn a_rejection_after_other_requests_is_answered_too() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/small").await.status(), 200);
    client.write(head("GET", &format!("/{}", "x".repeat(2 * MAX_HEADER_BYTES)), "")).await;
    assert_eq!(code(&client.read_response().await), "uri-too-long");
}

#[tokio::test]
async fn headers_up_to_the_limit_are_accepted() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    let empty = head("GET", "/small", "x: \r\n").len();
    let fill = format!("x: {}\r\n", "y".repeat(MAX_HEADER_BYTES - empty));
    for headers in [fill, "x: y\r\n".repeat(MAX_HEADERS - 1)] {
        client.write(head("GET", "/small", &headers)).await;
        assert_eq!(client.read_response().await.status(), 200);
    }
}
