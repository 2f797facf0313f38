//! Both versions of HTTP on one port: the first bytes of a connection decide which one it speaks.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::{Connection, IDLE_LINGER_TIMEOUT, Stage};
use super::http2::{self, Http2};
use super::stream::{ClientStream, Protocol};

/// The settings of both versions of HTTP.
pub struct Protocols {
    pub http1: http1::Builder,
    pub http2: Http2,
    pub client_timeout: Duration,
}

impl Protocols {
    /// Serves requests until one of the sides closes the connection.
    pub async fn serve(&self, connection: Connection, tcp: TcpStream) {
        let connection = Arc::new(connection);
        let mut stream = ClientStream::new(tcp, self.client_timeout, connection.state());
        match self.detect(&connection, &mut stream).await {
            Some(Protocol::Http1) => connection.serve_http1(&self.http1, stream).await,
            Some(Protocol::Http2) => http2::serve(connection.clone(), &self.http2, stream).await,
            None => {}
        }
    }

    /// Returns `None` if the client sends nothing in time, or when idle connections are closed.
    async fn detect(
        &self,
        connection: &Connection,
        stream: &mut ClientStream<'_>,
    ) -> Option<Protocol> {
        let mut stage = connection.stage();
        tokio::select! {
            biased;
            detected = tokio::time::timeout(self.client_timeout, stream.detect_protocol()) => {
                return detected.ok()?.ok();
            }
            _ = stage.wait_for(|stage| *stage >= Stage::ClosingIdle) => {}
        }
        connection.state().set_linger(IDLE_LINGER_TIMEOUT);
        // Fails if the client has disconnected.
        let _ = stream.shutdown().await;
        None
    }
}
