//! HTTP/2 with prior knowledge.

use axum::http::{Request, Version, header};
use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use sqlx::PgPool;

use super::limits::start_service;
use super::*;
use crate::limit::MAX_HEADERS;

const SHORT: Duration = Duration::from_millis(100);

/// Preface and an empty SETTINGS frame.
const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A client, and its connection.
struct Http2Client {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2Client {
    async fn connect(server: &TestServer, builder: &Builder) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (requests, connection) = within(builder.handshake(stream)).await.unwrap();
        Self { requests, connection: tokio::spawn(connection) }
    }

    async fn new(server: &TestServer) -> Self {
        Self::connect(server, &Builder::new()).await
    }

    async fn start(
        &mut self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.requests = within(self.requests.clone().ready()).await?;
        self.requests.send_request(request, ends)
    }

    async fn send(&mut self, request: Request<()>) -> (u16, String) {
        let (response, _) = self.start(request, true).await.unwrap();
        read(response).await
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        self.send(Request::get(uri(path)).body(()).unwrap()).await
    }

    /// Asserts that the server closes the connection.
    async fn expect_end(self) {
        let Self { requests, connection } = self;
        let _ = within(connection).await.unwrap();
        drop(requests);
    }
}

fn uri(path: &str) -> String {
    format!("http://plant{path}")
}

async fn read(response: ResponseFuture) -> (u16, String) {
    let response = within(response).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(!response.headers().contains_key(header::CONNECTION));
    let status = response.status().as_u16();
    (status, String::from_utf8(read_body(response.into_body()).await).unwrap())
}

async fn read_body(mut body: RecvStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(data) = within(body.data()).await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend_from_slice(&data);
    }
    bytes
}

fn post(path: &str) -> Request<()> {
    Request::post(uri(path)).body(()).unwrap()
}

#[tokio::test]
async fn requests_share_a_connection() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    let (waiting, mut body) = client.start(post("/read"), false).await.unwrap();
    assert_eq!(client.get("/small").await, (200, "small".into()));
    assert_eq!(client.get("/address").await, (200, "127.0.0.1".into()));
    assert_eq!(client.get("/nowhere").await.0, 404);
    body.send_data(vec![b'x'; MAX_BODY_BYTES].into(), true).unwrap();
    assert_eq!(read(waiting).await, (200, MAX_BODY_BYTES.to_string()));
    let (huge, _) = client.start(Request::get(uri("/huge")).body(()).unwrap(), true).await.unwrap();
    assert_eq!(read(huge).await.1.len(), HUGE);
    assert_eq!(client.requests.current_max_send_streams(), 100);
}

#[tokio::test]
async fn responses_that_never_have_a_body_have_no_length() {
    let router = router()
        .route("/204", get(async || StatusCode::NO_CONTENT))
        .route("/304", get(async || StatusCode::NOT_MODIFIED));
    let server = TestServer::start(router, CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    for (path, length) in [("/204", false), ("/304", false), ("/small", true)] {
        let (response, _) =
            client.start(Request::get(uri(path)).body(()).unwrap(), true).await.unwrap();
        let headers = within(response).await.unwrap().headers().clone();
        assert_eq!(headers.contains_key(header::CONTENT_LENGTH), length, "{path}");
    }
}

#[tokio::test]
async fn a_refused_body_does_not_end_the_connection() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    for (path, status) in [("/read", 413), ("/refuse", 401), ("/nowhere", 404)] {
        let (response, mut body) = client.start(post(path), false).await.unwrap();
        body.send_data(vec![b'x'; HUGE].into(), true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), status, "{path}");
    }
    assert_eq!(client.get("/small").await.0, 200);
}

#[tokio::test]
async fn the_preface_may_arrive_in_parts() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    for byte in START {
        client.write([*byte]).await;
        tokio::task::yield_now().await;
    }
    let mut frame = [0; 9];
    within(client.0.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[3], 4, "SETTINGS: {frame:?}");
}

#[tokio::test]
async fn a_client_that_does_not_receive_a_response_is_disconnected() {
    let server =
        TestServer::start(router(), ConnectionConfig { client_timeout: SHORT, ..CONFIG }).await;
    // Neither of them lets the server send anything of a body.
    let mut blocked = Http2Client::connect(&server, Builder::new().initial_window_size(0)).await;
    let (_small, _) =
        blocked.start(Request::get(uri("/small")).body(()).unwrap(), true).await.unwrap();
    let mut slow = Http2Client::new(&server).await;
    let (response, _) =
        slow.start(Request::get(uri("/huge")).body(()).unwrap(), true).await.unwrap();
    let _unread = within(response).await.unwrap().into_body();
    blocked.expect_end().await;
    slow.expect_end().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_from_its_connection_is_disconnected() {
    let server =
        TestServer::start(router(), ConnectionConfig { client_timeout: SHORT, ..CONFIG }).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut builder = Builder::new();
    builder.initial_window_size(HUGE as u32).initial_connection_window_size(HUGE as u32);
    let (requests, mut connection) = within(builder.handshake::<_, Bytes>(stream)).await.unwrap();
    let mut requests = requests.ready().await.unwrap();
    let (response, _) =
        requests.send_request(Request::get(uri("/huge")).body(()).unwrap(), true).unwrap();
    // Reads until the response begins.
    tokio::select! {
        result = &mut connection => panic!("{result:?}"),
        response = within(response) => assert_eq!(response.unwrap().status(), 200),
    }
    server.shutdown.cancel();
    // Ends although the client reads nothing more.
    server.stopped().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server =
        TestServer::start(router(), ConnectionConfig { client_timeout: SHORT, ..CONFIG }).await;
    let mut client = Http2Client::new(&server).await;
    assert_eq!(client.get("/small").await.0, 200);
    client.expect_end().await;
    // Nor does one that ignores this stay open.
    let mut silent = server.connect().await;
    silent.write(START).await;
    let mut rest = Vec::new();
    let _ = within(silent.0.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_client_that_cancels_many_requests_is_disconnected() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    let mut canceled = 0;
    let request = || Request::get(uri("/never")).body(()).unwrap();
    while let Ok((_, mut stream)) = client.start(request(), true).await {
        assert!(canceled < 1_000);
        while NEVER_REQUESTS.load(Ordering::Relaxed) == canceled && !client.connection.is_finished()
        {
            tokio::task::yield_now().await;
        }
        stream.send_reset(Reason::CANCEL);
        canceled += 1;
    }
    assert!(canceled > 100, "{canceled}");
    client.expect_end().await;
    assert_eq!(Http2Client::new(&server).await.get("/small").await.0, 200);
}

#[tokio::test]
async fn invalid_requests_are_answered_with_a_problem() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    let request = |headers: &[(&str, &str)]| {
        let request = Request::get(uri("/small"));
        headers.iter().fold(request, |r, (name, value)| r.header(*name, *value)).body(()).unwrap()
    };
    let large = "y".repeat(MAX_HEADER_BYTES);
    for (headers, status, code) in [
        (vec![("host", "other")], 400, "malformed-request"),
        (vec![("x", "y"); MAX_HEADERS + 1], 431, "headers-too-large"),
        (vec![("x", large.as_str())], 431, "headers-too-large"),
    ] {
        let (answered, body) = client.send(request(&headers)).await;
        let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((answered, &problem["code"]), (status, &code.into()));
    }
    let (response, _) = client.start(request(&[("x", &large.repeat(3))]), true).await.unwrap();
    assert_eq!(within(response).await.unwrap().status(), 431);
    assert_eq!(client.get("/small").await.0, 200);
}

#[tokio::test]
async fn a_running_request_completes_when_the_service_stops() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    let (response, mut body) = client.start(post("/read"), false).await.unwrap();
    assert_eq!(client.get("/small").await.0, 200);
    server.shutdown.cancel();
    // The end of the connection is announced.
    within(async {
        while client.start(post("/read"), true).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!server.task.is_finished());
    body.send_data("short".into(), true).unwrap();
    assert_eq!(read(response).await, (200, "5".into()));
    client.expect_end().await;
    server.stopped().await;
}

#[tokio::test]
async fn idle_connections_end_when_the_service_stops() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = Http2Client::new(&server).await;
    assert_eq!(client.get("/small").await.0, 200);
    let mut silent = server.connect().await;
    silent.write(START).await;
    within(silent.0.read_u8()).await.unwrap();
    server.shutdown.cancel();
    server.stopped().await;
    client.expect_end().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_connection_over_the_limit_answers_one_request(pool: PgPool) {
    let server =
        start_service(pool, ConnectionConfig { connections_per_address: 1, ..CONFIG }).await;
    let mut first = Http2Client::new(&server).await;
    assert_eq!(first.get("/api/v1/skills").await.0, 200);
    for (path, status) in [("/api/v1/skills", 429), ("/livez", 200)] {
        let mut second = Http2Client::new(&server).await;
        assert_eq!(second.get(path).await.0, status, "{path}");
        second.expect_end().await;
    }
    assert_eq!(first.get("/api/v1/skills").await.0, 200);
}
