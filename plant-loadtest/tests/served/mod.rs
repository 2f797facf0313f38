//! A router, served on a free port of the loopback interface until it is dropped.

use std::net::SocketAddr;

use axum::Router;
use tokio::{net::TcpListener, runtime::Runtime};

/// A running server with its own threads.
pub struct Served {
    address: SocketAddr,
    _runtime: Runtime,
}

impl Served {
    /// Starts to serve `router`.
    pub fn start(router: Router) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, _runtime: runtime }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }
}
