//! Requests that violate RFC 9112.

use super::rejections::{code, rejection};
use super::*;

/// A chunked body, and a request that must not be answered, whatever the body is.
const REST: &str = "0\r\n\r\nGET /small HTTP/1.1\r\nhost: plant\r\n\r\n";

#[tokio::test]
async fn a_request_without_exactly_one_host_is_malformed() {
    let server = TestServer::start(router(), CONFIG).await;
    for hosts in ["", "host:\r\n", "host: \r\n", "host: a\r\nhost: a\r\n", "host: a/b\r\n"] {
        let request = format!("GET /small HTTP/1.1\r\n{hosts}\r\n");
        let response = rejection(&server, request).await;
        assert_eq!((response.status(), code(&response).as_str()), (400, "malformed-request"));
        assert!(response.head.contains("\r\nx-request-id: "), "{response:?}");
    }
    let mut client = server.connect().await;
    client.write("GET /small HTTP/1.0\r\n\r\n").await;
    assert_eq!(client.read_response().await.status(), 200);
}

#[tokio::test]
async fn other_transfer_codings_than_chunked_are_not_implemented() {
    let server = TestServer::start(router(), CONFIG).await;
    for codings in ["gzip, chunked", "identity, chunked"] {
        let headers = format!("transfer-encoding: {codings}\r\n");
        let response = rejection(&server, head("POST", "/read", &headers) + REST).await;
        assert_eq!((response.status(), code(&response).as_str()), (501, "not-implemented"));
    }
}

#[tokio::test]
async fn a_body_of_uncertain_length_is_malformed() {
    let server = TestServer::start(router(), CONFIG).await;
    for headers in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "Transfer-Encoding: chunked\r\nx: y\r\nCONTENT-LENGTH: 0\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: -1\r\n",
    ] {
        let response = rejection(&server, head("POST", "/read", headers) + REST).await;
        assert_eq!((response.status(), code(&response).as_str()), (400, "malformed-request"));
    }
}

#[tokio::test]
async fn a_conflict_is_detected_in_a_later_request_that_arrives_in_parts() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/read", "content-length: 2\r\n") + "{}").await;
    assert_eq!(client.read_response().await.body, "2");
    client
        .write(head("POST", "/read", "transfer-encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n")
        .await;
    assert_eq!(client.read_response().await.body, "2");
    client.write("POST /read HTTP/1.1\r\nhost: plant\r\ncontent-len").await;
    client.write("gth: 5\r\ntransfer-enc").await;
    client.write(format!("oding: chunked\r\n\r\n{REST}")).await;
    let response = client.read_response().await;
    assert_eq!((response.status(), code(&response).as_str()), (400, "malformed-request"));
    client.expect_end().await;
}
