//! One client on one connection, kept alive, opened anew when it has ended.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whoever waits longer has not been answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client.
pub struct Client {
    address: SocketAddr,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What it was answered.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether `Retry-After` was there.
    pub retry_after: bool,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, and a body that is not JSON", self.status))
    }
}

impl Client {
    /// A client that connects when first used.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, headers: Vec::new(), connection: None }
    }

    /// Asks, and reads the whole answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let answered = timeout(PATIENCE, self.try_send(method, path, body)).await;
        let answer = answered.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in 20 s")));
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    /// Whether the service has kept the connection.
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(|open| !open.is_closed())
    }

    /// The body of a successful GET.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let answer = self.send(Method::GET, path, None).await?;
        if answer.status != 200 {
            bail!("GET {path}: {}", answer.status);
        }
        answer.json()
    }

    async fn try_send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "plant")
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        let response = self.connection().await?.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after: head.headers.contains_key(RETRY_AFTER),
            body,
        })
    }

    async fn connection(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(open) = &mut self.connection
            && open.ready().await.is_err()
        {
            self.connection = None;
        }
        let usable = match self.connection.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(usable))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
