//! Responses that are ready before the body has been received.

use super::*;

/// Above the buffers of the kernel, and below what a lingering close discards.
const HUGE: usize = 24 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_writes_before_it_reads_receives_the_refusal() {
    let server = TestServer::start(router(), CONFIG).await;
    for (path, status) in [("/read", 413), ("/refuse", 401), ("/nowhere", 404)] {
        let mut client = server.connect().await;
        client.write(head("POST", path, &format!("content-length: {HUGE}\r\n"))).await;
        client.write(vec![b'x'; HUGE]).await;
        let response = client.read_response().await;
        assert_eq!(response.status(), status);
        assert!(response.announces_close(), "{response:?}");
        client.expect_end().await;
    }
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused_like_one_with_a_length() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/read", "transfer-encoding: chunked\r\n")).await;
    client.write(format!("{HUGE:x}\r\n")).await;
    client.write(vec![b'x'; HUGE]).await;
    let response = client.read_response().await;
    assert_eq!(response.status(), 413);
    assert!(response.announces_close(), "{response:?}");
}

#[tokio::test]
async fn a_refused_length_is_not_waited_for() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/read", &format!("content-length: {HUGE}\r\n"))).await;
    let response = client.read_response().await;
    assert_eq!(response.status(), 413);
    assert!(response.announces_close(), "{response:?}");
    client.expect_end().await;
}

#[tokio::test]
async fn a_connection_is_kept_after_a_short_unread_body() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    for path in ["/refuse", "/nowhere", "/small"] {
        client.write(head("POST", path, "content-length: 5\r\n")).await;
        client.write("short").await;
        assert!(!client.read_response().await.announces_close());
        client.write(head("POST", path, "transfer-encoding: chunked\r\n")).await;
        client.write("5\r\nshort\r\n0\r\n\r\n").await;
        assert!(!client.read_response().await.announces_close());
        assert_eq!(client.get("/small").await.body, "small");
    }
}

#[tokio::test]
async fn a_connection_is_kept_after_a_body_that_was_read() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/read", &format!("content-length: {MAX_BODY_BYTES}\r\n"))).await;
    client.write(vec![b'x'; MAX_BODY_BYTES]).await;
    let response = client.read_response().await;
    assert_eq!((response.body.as_str(), response.announces_close()), ("1048576", false));
    client.write(head("POST", "/read", "transfer-encoding: chunked\r\n")).await;
    client.write("3\r\nabc\r\n0\r\n\r\n").await;
    let response = client.read_response().await;
    assert_eq!((response.body.as_str(), response.announces_close()), ("3", false));
    assert_eq!(client.get("/small").await.body, "small");
}

#[tokio::test]
async fn the_rest_of_a_short_body_is_waited_for_only_briefly() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/refuse", "content-length: 5\r\n")).await;
    client.write("sho").await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.announces_close()), (401, true));
}

#[tokio::test]
async fn only_an_accepted_body_is_invited() {
    let server = TestServer::start(router(), CONFIG).await;
    let expect = "content-length: 5\r\nexpect: 100-continue\r\n";
    let mut client = server.connect().await;
    client.write(head("POST", "/read", expect)).await;
    assert_eq!(client.read_response().await.status(), 100);
    client.write("short").await;
    let response = client.read_response().await;
    assert_eq!((response.body.as_str(), response.announces_close()), ("5", false));

    client.write(head("POST", "/refuse", expect)).await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.announces_close()), (401, true));
    client.expect_end().await;
}
