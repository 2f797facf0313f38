//! Responses that are ready before the body has been received.

use super::*;
use crate::serve::body::DISCARD_TIMEOUT;

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
    // One of these is faster than the wait for short bodies, however busy the machine is.
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let mut client = server.connect().await;
        let started_at = std::time::Instant::now();
        client.write(head("POST", "/refuse", &format!("content-length: {HUGE}\r\n"))).await;
        assert_eq!(client.read_response().await.status(), 401);
        fastest = fastest.min(started_at.elapsed());
    }
    assert!(fastest < DISCARD_TIMEOUT, "{fastest:?}");
}

#[tokio::test]
async fn a_chunked_body_that_is_not_short_ends_the_connection() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/refuse", "transfer-encoding: chunked\r\n")).await;
    client.write(format!("{:x}\r\n{}\r\n0\r\n\r\n", 200_000, "x".repeat(200_000))).await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.announces_close()), (401, true));
}

#[tokio::test]
async fn a_client_that_goes_on_sending_is_reset() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    let length = 6 * HUGE;
    client.write(head("POST", "/refuse", &format!("content-length: {length}\r\n"))).await;
    within(client.0.write_all(&vec![b'x'; length])).await.unwrap_err();
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

#[tokio::test]
async fn an_invited_body_that_was_not_read_to_its_end_is_discarded() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    client.write(head("POST", "/begin", "content-length: 5\r\nexpect: 100-continue\r\n")).await;
    assert_eq!(client.read_response().await.status(), 100);
    client.write("sh").await;
    client.write("ort").await;
    let response = client.read_response().await;
    assert_eq!((response.status(), response.announces_close()), (401, false));
    assert_eq!(client.get("/small").await.body, "small");
}

#[tokio::test]
async fn handlers_receive_the_address_of_the_client() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/address").await.body, "127.0.0.1");
    client.write(head("GET", "/address", "content-length: 5\r\n")).await;
    client.write("short").await;
    assert_eq!(client.read_response().await.body, "127.0.0.1");
}
