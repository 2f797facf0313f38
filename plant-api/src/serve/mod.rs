//! HTTP server: the accept loop, the limits on connections, and graceful shutdown. `axum::serve` is
//! not used, because it has no header timeout and therefore cannot close slow clients.
//!
//! After SIGTERM, connections are accepted and served as before for a grace period, so that load
//! balancers detect the failing `/readyz`. Then the listeners close, and every response has
//! the header `Connection: close`. Connections that stay idle for the length of the grace period
//! are closed. Running requests have a limited time to finish.
//!
//! The first bytes of a connection decide whether it is HTTP/1 or HTTP/2.

mod body;
mod connection;
mod head_lines;
mod http2;
mod listener;
mod message;
mod protocols;
mod rejection;
mod slots;
mod stream;
mod streams;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::ConnectionConfig;
use crate::limit::{ClientIp, MAX_HEADER_BYTES};
use connection::{Connection, Stage};
use http2::Http2;
use protocols::Protocols;
use slots::Slots;

pub use listener::bind;

/// Serves `router` on all listeners until `shutdown` and for the grace period after it, then drains
/// the connections.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    config: ConnectionConfig,
    shutdown: CancellationToken,
) {
    let grace = if listeners.is_empty() { Duration::ZERO } else { config.shutdown_grace };
    let server = Server::new(router, config);
    let close_listeners = CancellationToken::new();
    let end_of_grace = async {
        shutdown.cancelled().await;
        tokio::time::sleep(grace).await;
        close_listeners.cancel();
    };
    let accept_loops = listeners.into_iter().map(|l| server.accept_until(l, &close_listeners));
    tokio::join!(futures::future::join_all(accept_loops), end_of_grace);
    server.drain().await;
}

struct Server {
    protocols: Arc<Protocols>,
    router: Router,
    config: ConnectionConfig,
    slots: Arc<Slots>,
    stage: watch::Sender<Stage>,
}

impl Server {
    fn new(router: Router, config: ConnectionConfig) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(config.client_timeout)
            .max_buf_size(MAX_HEADER_BYTES);
        let client_timeout = config.client_timeout;
        Self {
            protocols: Arc::new(Protocols {
                http1,
                http2: Http2::new(client_timeout),
                client_timeout,
            }),
            router,
            config,
            slots: Slots::new(config.max_connections, config.connections_per_address),
            stage: watch::Sender::new(Stage::Serving),
        }
    }

    /// Accepts connections until `close` is canceled, and then those that are in the backlog, which
    /// closing the listener would reset.
    async fn accept_until(&self, listener: TcpListener, close: &CancellationToken) {
        while let Some((stream, address)) =
            close.run_until_cancelled(listener::accept(&listener)).await
        {
            self.start(stream, address);
        }
        for (stream, address) in listener::backlog(listener) {
            self.start(stream, address);
        }
    }

    /// Serves a connection in a task of its own. Over a limit, the connection can request only the
    /// operational endpoints, and is aborted when many newer ones exceed the limits too.
    fn start(&self, stream: TcpStream, address: SocketAddr) {
        // Responses are small; Nagle's algorithm would only delay them.
        let _ = stream.set_nodelay(true);
        let client = ClientIp(address.ip());
        let slot = self.slots.take(client);
        let connection = Connection::new(
            self.router.clone(),
            client,
            slot.as_ref().err().copied(),
            self.stage.subscribe(),
        );
        let protocols = self.protocols.clone();
        let has_slot = slot.is_ok();
        let task = tokio::spawn(async move {
            let _slot = slot;
            protocols.serve(connection, stream).await;
        });
        if !has_slot {
            self.slots.add_extra(task.abort_handle());
        }
    }

    /// Waits for running requests and closes idle connections, within the drain timeout.
    async fn drain(self) {
        self.stage.send_replace(Stage::Draining);
        tracing::info!(connections = self.slots.open(), "listeners closed; draining connections");
        let drained = async {
            // Busy clients send their next request in this time, and its response announces the
            // end. A connection closed without announcement can lose a request.
            let idle = tokio::time::timeout(self.config.shutdown_grace, self.stage.closed());
            if idle.await.is_err() {
                self.stage.send_replace(Stage::ClosingIdle);
                self.stage.closed().await;
            }
        };
        if tokio::time::timeout(self.config.drain_timeout, drained).await.is_err() {
            let connections = self.slots.open();
            tracing::warn!(
                connections,
                "drain timeout of {:?} expired; aborting running requests",
                self.config.drain_timeout
            );
            self.stage.send_replace(Stage::Aborting);
        } else {
            tracing::info!("connections drained");
        }
    }
}
