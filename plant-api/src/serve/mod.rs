//! HTTP server: the accept loop and graceful shutdown. `axum::serve` is not used, because it has
//! no header timeout and therefore cannot close slow clients.
//!
//! Connections beyond the limit wait in the listen backlog. A connection whose request headers
//! take too long is closed. After shutdown begins, running requests have a limited time
//! to finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::limit::ClientIp;

/// Backlog of pending connections; the kernel may lower it to `net.core.somaxconn`. The default of
/// 1024 overflows when thousands of clients connect at once, and a dropped SYN is retransmitted
/// only after a second.
const LISTEN_BACKLOG: u32 = 4096;

/// Delay after a failed accept.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Timeout for receiving the request headers.
    pub header_timeout: Duration,
    /// Timeout for running requests to finish after shutdown begins.
    pub drain_timeout: Duration,
}

/// Binds a listener to each address.
///
/// # Errors
/// Returns an error that names the address that cannot be bound.
pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener = listen(*address).map_err(|e| {
            io::Error::new(e.kind(), format!("cannot listen on {address} ({e}); set PLANT_LISTEN"))
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(LISTEN_BACKLOG)
}

/// Serves `router` on all listeners until shutdown, then drains the connections.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let connections = Arc::new(GracefulShutdown::new());
    let accept_loops = listeners.into_iter().map(|listener| {
        run_accept_loop(
            listener,
            router.clone(),
            limits,
            permits.clone(),
            connections.clone(),
            shutdown.clone(),
        )
    });
    futures::future::join_all(accept_loops).await;

    let Some(connections) = Arc::into_inner(connections) else { return };
    let open = connections.count();
    if tokio::time::timeout(limits.drain_timeout, connections.shutdown()).await.is_err() {
        tracing::warn!(
            "drain timeout of {:?} expired; aborting running requests",
            limits.drain_timeout
        );
    } else {
        tracing::info!(connections = open, "connections drained");
    }
}

async fn run_accept_loop(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    permits: Arc<Semaphore>,
    connections: Arc<GracefulShutdown>,
    shutdown: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    loop {
        let permit = tokio::select! {
            permit = permits.clone().acquire_owned() => permit,
            () = shutdown.cancelled() => return,
        };
        let (stream, peer) = tokio::select! {
            accepted = accept_stream(&listener) => accepted,
            () = shutdown.cancelled() => return,
        };
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _permit = permit;
            // Disconnects and malformed requests are the client's fault, hence not a warning.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection closed with an error");
            }
        });
    }
}

/// Accepts the next connection. Retries failed accepts (such as out of file descriptors).
async fn accept_stream(listener: &TcpListener) -> (TcpStream, ClientIp) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Responses are small; Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, ClientIp(address.ip()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; retrying in 50 ms");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
}
