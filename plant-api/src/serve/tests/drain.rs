//! The end of the service.

use super::*;
use crate::serve::connection::IDLE_LINGER_TIMEOUT;

/// A grace period that no test waits for.
const LONG: Duration = Duration::from_secs(600);

/// Waits until new connections are refused.
async fn wait_until_closed(server: &TestServer) {
    within(async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn in_the_grace_period_requests_are_served_as_before() {
    let config = ConnectionConfig { shutdown_grace: LONG, ..CONFIG };
    let server = TestServer::start(router(), config).await;
    let mut before = server.connect().await;
    assert!(!before.get("/small").await.announces_close());
    server.shutdown.cancel();
    let mut during = server.connect().await;
    for client in [&mut before, &mut during] {
        assert!(!client.get("/small").await.announces_close());
        assert!(!client.get("/small").await.announces_close());
    }
    assert!(!server.task.is_finished());
}

#[tokio::test]
async fn after_the_grace_period_the_next_response_is_the_last() {
    let server = Server::new(router(), ConnectionConfig { shutdown_grace: LONG, ..CONFIG });
    let listener = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(Client(TcpStream::connect(address).await.unwrap()));
    }
    server.accept_until(listener, &cancelled()).await;
    for client in &mut clients {
        assert!(!client.get("/small").await.announces_close());
    }
    let draining = tokio::spawn(server.drain());
    // Waits until draining has begun.
    tokio::task::yield_now().await;
    // The last of them is idle for a while, and is not closed.
    for mut client in clients {
        assert!(client.get("/small").await.announces_close());
        client.expect_end().await;
    }
    within(draining).await.unwrap();
}

fn cancelled() -> CancellationToken {
    let token = CancellationToken::new();
    token.cancel();
    token
}

#[tokio::test]
async fn connections_in_the_backlog_are_served() {
    let server = Server::new(router(), CONFIG);
    let listener = bind(&["127.0.0.1:0".parse().unwrap()]).await.unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client(TcpStream::connect(address).await.unwrap()));
    }
    server.accept_until(listener, &cancelled()).await;
    assert!(TcpStream::connect(address).await.is_err());
    for client in &mut clients {
        assert_eq!(client.get("/small").await.body, "small");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_after_the_listeners() {
    let config = ConnectionConfig { shutdown_grace: Duration::from_millis(50), ..CONFIG };
    let server = TestServer::start(router(), config).await;
    let mut used = server.connect().await;
    assert_eq!(used.get("/small").await.status(), 200);
    let unused = server.connect().await;
    server.shutdown.cancel();
    used.expect_end().await;
    unused.expect_end().await;
    server.stopped().await;
}

#[tokio::test]
async fn a_client_that_ignores_the_close_does_not_delay_the_stop() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = server.connect().await;
    assert_eq!(client.get("/small").await.status(), 200);
    let started_at = std::time::Instant::now();
    server.shutdown.cancel();
    server.stopped().await;
    // The server has waited for the client, so that a request sent meanwhile causes no reset.
    assert!(started_at.elapsed() >= IDLE_LINGER_TIMEOUT);
    client.expect_end().await;
}

/// Starts a request whose handler waits for the body.
async fn start_request(server: &TestServer) -> Client {
    let mut client = server.connect().await;
    let headers = "content-length: 5\r\nexpect: 100-continue\r\n";
    client.write(head("POST", "/read", headers)).await;
    assert_eq!(client.read_response().await.status(), 100);
    client
}

#[tokio::test]
async fn a_running_request_completes_and_its_response_is_the_last() {
    let server = TestServer::start(router(), CONFIG).await;
    let mut client = start_request(&server).await;
    server.shutdown.cancel();
    wait_until_closed(&server).await;
    assert!(!server.task.is_finished());
    client.write("short").await;
    let response = client.read_response().await;
    assert_eq!((response.body.as_str(), response.announces_close()), ("5", true));
    client.expect_end().await;
    server.stopped().await;
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_timeout_is_aborted() {
    let config = ConnectionConfig { drain_timeout: Duration::from_millis(50), ..CONFIG };
    let server = TestServer::start(router(), config).await;
    let mut client = start_request(&server).await;
    server.shutdown.cancel();
    let mut rest = Vec::new();
    let end = within(client.0.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "{end:?} {}", String::from_utf8_lossy(&rest));
    server.stopped().await;
}

#[tokio::test]
async fn without_listeners_the_server_stops_at_once() {
    let shutdown = cancelled();
    let config = ConnectionConfig { shutdown_grace: LONG, ..CONFIG };
    within(serve(Vec::new(), router(), config, shutdown)).await;
}
