//! Timeouts of clients, and connections over a limit.

use sqlx::PgPool;

use super::*;
use crate::testing::TestApp;

const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_client_that_does_not_finish_its_headers_is_disconnected() {
    let server =
        TestServer::start(router(), ConnectionConfig { client_timeout: SHORT, ..CONFIG }).await;
    for begun in ["", "GET /small HTTP/1.1\r\nhost:"] {
        let mut client = server.connect().await;
        client.write(begun).await;
        client.expect_end().await;
    }
    let mut client = server.connect().await;
    assert_eq!(client.get("/small").await.status(), 200);
    client.expect_end().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    const PIPELINED: usize = 100;
    let config = ConnectionConfig { client_timeout: SHORT, ..CONFIG };
    let server = Arc::new(Server::new(router(), config));
    let listener = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn({
        let server = server.clone();
        async move { server.accept_until(listener, &CancellationToken::new()).await }
    });
    let mut client = Client(TcpStream::connect(address).await.unwrap());
    client.write(head("GET", "/large", "").repeat(PIPELINED)).await;
    within(async {
        while LARGE_RESPONSES.load(Ordering::Relaxed) == 0 || server.slots.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // The first response is larger than the buffers of the kernel, so no further request was begun.
    assert_eq!(LARGE_RESPONSES.load(Ordering::Relaxed), 1);
    let error = within(client.0.read_to_end(&mut Vec::new())).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    accepting.abort();
}

/// Starts the whole service with these limits.
pub async fn start_service(pool: PgPool, config: ConnectionConfig) -> TestServer {
    let app = TestApp::new(pool).await;
    TestServer::start(crate::app::router(app.state, app.agent).unwrap().0, config).await
}

async fn assert_only_health_is_answered(server: &TestServer, status: u16) {
    for path in ["/api/v1/skills", "/openapi.json", "/nowhere"] {
        let mut client = server.connect().await;
        let response = client.get(path).await;
        assert_eq!(response.status(), status, "{response:?}");
        assert!(response.announces_close(), "{response:?}");
        assert!(response.head.contains("\r\nretry-after: 1\r\n"), "{response:?}");
        assert!(response.body.contains("\"request_id\""), "{response:?}");
        client.expect_end().await;
    }
    for path in ["/livez", "/readyz", "/health", "/metrics"] {
        let mut client = server.connect().await;
        let response = client.get(path).await;
        assert_eq!((response.status(), response.announces_close()), (200, true), "{path}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn health_is_answered_when_all_slots_are_taken(pool: PgPool) {
    let config = ConnectionConfig { max_connections: 2, ..CONFIG };
    let server = start_service(pool, config).await;
    let mut holding = [server.connect().await, server.connect().await];
    for client in &mut holding {
        assert!(!client.get("/livez").await.announces_close());
    }
    assert_only_health_is_answered(&server, 503).await;
    // Connections that send nothing do not keep others out: the oldest are closed.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(server.connect().await);
    }
    within(silent[0].0.read_u8()).await.unwrap_err();
    assert_eq!(server.connect().await.get("/livez").await.status(), 200);
    for client in &mut holding {
        assert_eq!(client.get("/api/v1/skills").await.status(), 200);
    }
    drop(holding);
    within(async { while server.connect().await.get("/api/v1/skills").await.status() != 200 {} })
        .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn connections_of_one_address_are_limited(pool: PgPool) {
    let config = ConnectionConfig { connections_per_address: 1, ..CONFIG };
    let server = start_service(pool, config).await;
    let mut first = server.connect().await;
    assert_eq!(first.get("/api/v1/skills").await.status(), 200);
    assert_only_health_is_answered(&server, 429).await;
    assert_eq!(first.get("/api/v1/skills").await.status(), 200);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_uri_over_the_limit_is_414(pool: PgPool) {
    let server = start_service(pool, CONFIG).await;
    let mut client = server.connect().await;
    let path = "/api/v1/agents?search=";
    let longest = format!("{path}{}", "x".repeat(crate::limit::MAX_URI_BYTES - path.len()));
    assert_ne!(client.get(&longest).await.status(), 414);
    for path in [longest + "x", format!("/{}", "x".repeat(crate::limit::MAX_URI_BYTES))] {
        let response = client.get(&path).await;
        assert_eq!((response.status(), response.announces_close()), (414, false));
        assert!(response.body.contains("\"uri-too-long\""), "{response:?}");
    }
}
