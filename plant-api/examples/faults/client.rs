//! HTTP client with one keep-alive connection, reopened after it was closed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

/// Timeout for one request, with its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Waits until the service is ready at this address.
pub async fn wait_until_ready(address: SocketAddr) -> anyhow::Result<()> {
    let mut client = Client::new(address);
    for _ in 0..600 {
        if let Ok(response) = client.send(Method::GET, "/readyz", None).await
            && response.status == 200
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("{address} did not become ready within 30 s")
}

/// An HTTP client.
pub struct Client {
    address: SocketAddr,
    /// Address to connect from; `None`: the default of the system.
    source: Option<Ipv4Addr>,
    /// Headers sent with every request.
    pub headers: Vec<(&'static str, String)>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// A response.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Whether the response has a `Retry-After` header.
    pub retry_after: bool,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// Returns whether the service rejected the request for want of capacity or a dependency, with a time to
    /// try it again.
    pub fn is_rejection(&self) -> bool {
        self.status == 503 && self.retry_after
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {} with a body that is not JSON", self.status))
    }
}

impl Client {
    /// Creates a client that connects at the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, source: None, headers: Vec::new(), connection: None }
    }

    /// Creates a client that connects from `source`, such as any address of the loopback network.
    pub fn from_source(source: Ipv4Addr, address: SocketAddr) -> Self {
        Self { source: Some(source), ..Self::new(address) }
    }

    /// Sends a request and reads the whole response.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Response> {
        let result = timeout(REQUEST_TIMEOUT, self.try_send(method, path, body)).await;
        let result = result
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no response within {REQUEST_TIMEOUT:?}")));
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    /// Returns whether there is a connection that the service has not closed.
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is_closed())
    }

    /// Sends a GET request and returns the JSON body. Any status but 200 is an error.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(Method::GET, path, None).await?;
        if response.status != 200 {
            bail!("GET {path}: status {}", response.status);
        }
        response.json()
    }

    async fn try_send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Response> {
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
        Ok(Response {
            status: head.status.as_u16(),
            retry_after: head.headers.contains_key(RETRY_AFTER),
            body,
        })
    }

    async fn connection(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(connection) = &mut self.connection
            && connection.ready().await.is_err()
        {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let stream = match self.source {
            None => TcpStream::connect(self.address).await?,
            Some(source) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind((source, 0).into())?;
                socket.connect(self.address).await?
            }
        };
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}
