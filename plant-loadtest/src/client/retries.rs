//! Tests that a request whose fate is not known is not sent again: the work that it hands in would be done twice.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

static POST: Endpoint = Endpoint::new("POST /work", &[200], Shape::Any);

const BODY: &[u8] = b"{}";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// Answers the first request. Closes the connection of each later one after it was received.
async fn serve(listener: TcpListener, received: Arc<AtomicU64>) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(serve_connection(connection, Arc::clone(&received)));
    }
}

async fn serve_connection(mut connection: TcpStream, received: Arc<AtomicU64>) {
    let mut request = Vec::new();
    while connection.read_buf(&mut request).await.is_ok_and(|bytes| bytes > 0) {
        if !request.ends_with(BODY) {
            continue;
        }
        request.clear();
        if received.fetch_add(1, SeqCst) > 0 || connection.write_all(RESPONSE).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_request_without_a_response_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::new(AtomicU64::new(0));
    let server = tokio::spawn(serve(listener, Arc::clone(&received)));
    let config = ClientConfig::new(&host, Duration::from_secs(30), Arc::new(Recorder::new(1)));
    let client = Client::new(&config).unwrap();
    let post = || client.send(Request::post(&POST, "/work", &json!({})));
    assert!(post().await.is_some());
    for number in 2..5 {
        // The first of them on the connection that was kept open.
        assert_eq!(post().await, None);
        assert_eq!(received.load(SeqCst), number);
    }
    server.abort();
}
