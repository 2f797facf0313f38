//! A router, served on a free port of the loopback interface until it is dropped.

use std::net::{SocketAddr, TcpListener};

use axum::Router;
use tokio::runtime::Runtime;

/// A running server with its own threads.
pub struct Served {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Served {
    /// Starts to serve `router`.
    pub fn start(router: Router) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await
        });
        Self { address, runtime: Some(runtime) }
    }

    /// Returns the base URL, as for `--host`.
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // An asynchronous test may not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
