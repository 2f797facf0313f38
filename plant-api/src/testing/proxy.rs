//! A TCP proxy whose connections can be cut or stalled, in front of PostgreSQL or Redis.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::redis_url;
use crate::redis::Redis;

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Forward,
    /// Accepts connections and data, but forwards nothing.
    Stall,
    /// Closes all connections.
    Cut,
}

/// A proxy on a loopback port, until dropped.
pub struct Proxy {
    pub address: SocketAddr,
    mode: watch::Sender<Mode>,
    sent: Arc<AtomicU64>,
}

impl Proxy {
    /// Starts a proxy for the server at `target`, such as `127.0.0.1:5432`.
    pub async fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, receiver) = watch::channel(Mode::Forward);
        let sent = Arc::new(AtomicU64::new(0));
        let counter = sent.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target.clone(), receiver.clone(), counter.clone()));
            }
        });
        Self { address, mode, sent }
    }

    /// Returns how many times clients have sent something: for clients that send little and then wait for
    /// the response, the number of round trips.
    pub fn round_trips(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

/// Returns a handle to Redis behind a proxy. Its heartbeat does not run.
pub async fn redis_behind_proxy() -> (Redis, Proxy) {
    let url = redis_url();
    let target = url.trim_start_matches("redis://").trim_end_matches('/');
    let proxy = Proxy::start(target.to_owned()).await;
    let redis = Redis::new(Some(&format!("redis://{}/", proxy.address))).unwrap();
    (redis, proxy)
}

async fn forward(
    client: TcpStream,
    target: String,
    mode: watch::Receiver<Mode>,
    sent: Arc<AtomicU64>,
) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (client, server) = (client.into_split(), server.into_split());
    let mut cut = mode.clone();
    let received = AtomicU64::new(0);
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
        () = copy(client.0, server.1, mode.clone(), &sent) => {}
        () = copy(server.0, client.1, mode, &received) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    reads: &AtomicU64,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        reads.fetch_add(1, Ordering::SeqCst);
        let forwarding = mode.wait_for(|mode| *mode == Mode::Forward).await.is_ok();
        if !forwarding || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
