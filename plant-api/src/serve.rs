//! The accept loop: our own, since axum's installs no timer and so cannot cut slow clients.
//!
//! A connection beyond the cap waits in the listen queue; headers that take too long close the
//! connection; after the stop token, running requests get a bounded time to finish.

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

use crate::limit::Peer;

/// Connections that may wait to be accepted, if the system allows as many. The usual 1024 overflow
/// when thousands come at once, and whoever is turned away tries again only a second later.
const WAITING: u32 = 4096;

/// Bounds on connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections served at once.
    pub connections: usize,
    /// Until a request's headers have arrived.
    pub headers: Duration,
    /// From the stop token until running requests are cut off.
    pub drain: Duration,
}

/// Opens every address.
///
/// # Errors
/// Naming the address that cannot be had.
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
    socket.listen(WAITING)
}

/// Serves `router` on every listener until `stop`, then drains.
pub async fn serve(
    listeners: Vec<TcpListener>,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let running = Arc::new(GracefulShutdown::new());
    let loops = listeners.into_iter().map(|listener| {
        accept(listener, router.clone(), bounds, places.clone(), running.clone(), stop.clone())
    });
    futures::future::join_all(loops).await;

    let Some(running) = Arc::into_inner(running) else { return };
    let left = running.count();
    if tokio::time::timeout(bounds.drain, running.shutdown()).await.is_err() {
        tracing::warn!("requests were still running {:?} after the stop; cut off", bounds.drain);
    } else {
        tracing::info!(connections = left, "drained");
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    places: Arc<Semaphore>,
    running: Arc<GracefulShutdown>,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.headers);
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = stop.cancelled() => return,
        };
        let (stream, peer) = tokio::select! {
            accepted = next_stream(&listener) => accepted,
            () = stop.cancelled() => return,
        };
        let service = router.clone().map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = running.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            // A client that goes away or sends garbage is its own affair.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

/// The next connection. A failed accept (out of file descriptors, say) is not the end.
async fn next_stream(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are small; waiting to fill a packet would only delay them.
                let _ = stream.set_nodelay(true);
                return (stream, Peer(address.ip()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
