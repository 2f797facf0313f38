//! The attacks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::{Fixture, Observed, Options, bodies, create};
use crate::client::Client;

/// An attack.
pub struct Attack {
    pub name: String,
    pub run: Box<dyn FnOnce(Options, Fixture) -> BoxFuture<'static, anyhow::Result<Observed>>>,
}

/// Timeout for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for which clients hold their connections without reading or writing.
const HOLD: Duration = Duration::from_secs(5);

/// Returns all attacks.
pub fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (name, body) in bodies::all() {
        attacks.push(attack(&format!("login: {name}"), move |options, _| {
            burst(options, "POST", "/api/v1/auth/login".to_owned(), body).boxed()
        }));
    }
    attacks.push(attack("configuration: 4,000 secrets under a long key", |options, fixture| {
        let path = format!("/api/v1/agents/{}/configuration", fixture.hire);
        burst(options, "PUT", path, bodies::secrets()).boxed()
    }));
    attacks.push(attack("100 goals of 64 KiB, listed by 5 clients", |options, fixture| {
        large_goals(options, fixture).boxed()
    }));
    attacks.push(attack("300 amendments of 60 KiB, listed by 5 clients", |options, fixture| {
        large_amendments(options, fixture).boxed()
    }));
    attacks.push(attack("bodies of 11 MB, written before reading", |options, _| {
        too_large(options).boxed()
    }));
    attacks.push(attack("1,500 bodies that are never completed", |options, _| {
        unfinished_bodies(options).boxed()
    }));
    attacks.push(attack("200 clients that pipeline lists and never read", |options, _| {
        never_reading(options).boxed()
    }));
    attacks
}

fn attack(
    name: &str,
    run: impl FnOnce(Options, Fixture) -> BoxFuture<'static, anyhow::Result<Observed>> + 'static,
) -> Attack {
    Attack { name: name.to_owned(), run: Box::new(run) }
}

/// Sends the same body many times at once; each must be rejected as a client error.
async fn burst(
    options: Options,
    method: &'static str,
    path: String,
    body: String,
) -> anyhow::Result<Observed> {
    let head = head(method, &path, body.len());
    let requests = (0..options.at_once).map(|_| exchange(options.address, &head, body.as_bytes()));
    let mut statuses = BTreeMap::<String, usize>::new();
    let mut longest = Duration::ZERO;
    for result in join_all(requests).await {
        let (status, latency) = result.unwrap_or_else(|error| (error.to_string(), Duration::MAX));
        *statuses.entry(status).or_default() += 1;
        longest = longest.max(latency);
    }
    let as_specified = statuses.keys().all(|status| status.starts_with('4'));
    Ok(Observed { responses: summary(&statuses), longest: Some(longest), as_specified })
}

fn head(method: &str, path: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: plant\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

fn summary(statuses: &BTreeMap<String, usize>) -> String {
    let counts: Vec<_> =
        statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
    counts.join(", ")
}

/// Writes a whole request, then reads the status. Returns it with the time from the last byte
/// written to the response.
async fn exchange(
    address: SocketAddr,
    head: &str,
    body: &[u8],
) -> anyhow::Result<(String, Duration)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let written_at = Instant::now();
    let status = timeout(RESPONSE_TIMEOUT, read_status(&mut stream)).await??;
    Ok((status, written_at.elapsed()))
}

async fn read_status(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    Ok(String::from_utf8_lossy(&start[9..]).into_owned())
}

async fn large_goals(options: Options, fixture: Fixture) -> anyhow::Result<Observed> {
    let mut client = Client::new(options.address);
    let path = format!("/api/v1/agents/{}/goals", fixture.hire);
    let settings = json!({"text": "x".repeat(65_000)});
    for _ in 0..100 {
        let goal = json!({"title": "Large", "schedule": "on_demand", "settings": settings});
        create(&mut client, &path, &goal).await?;
    }
    list_at_once(options.address, &format!("{path}?limit=100")).await
}

async fn large_amendments(options: Options, fixture: Fixture) -> anyhow::Result<Observed> {
    let mut client = Client::new(options.address);
    let agent = format!("/api/v1/agents/{}", fixture.agent);
    for n in 0..300 {
        let change = json!({"custom_attributes": {"text": "x".repeat(60_000), "n": n}});
        let response = client.send(Method::PATCH, &agent, Some(&change)).await?;
        anyhow::ensure!(response.status == 200, "PATCH {agent}: status {}", response.status);
    }
    let path = format!("/api/v1/entities/{}/amendments?limit=300", fixture.agent);
    list_at_once(options.address, &path).await
}

/// Five clients read a list at once. Each page must be limited in bytes.
async fn list_at_once(address: SocketAddr, path: &str) -> anyhow::Result<Observed> {
    const MAX_PAGE_BYTES: usize = 2 << 20;
    let reads = (0..5).map(|_| async {
        let mut client = Client::new(address);
        let started_at = Instant::now();
        let response = client.send(Method::GET, path, None).await?;
        anyhow::Ok((response.status, response.body.len(), started_at.elapsed()))
    });
    let mut statuses = BTreeMap::<String, usize>::new();
    let (mut longest, mut largest) = (Duration::ZERO, 0);
    for read in join_all(reads).await {
        let (status, bytes, latency) = read?;
        *statuses.entry(status.to_string()).or_default() += 1;
        (longest, largest) = (longest.max(latency), largest.max(bytes));
    }
    let responses = format!("{}, at most {} kB", summary(&statuses), largest / 1000);
    let as_specified = largest <= MAX_PAGE_BYTES && statuses.keys().all(|status| status == "200");
    Ok(Observed { responses, longest: Some(longest), as_specified })
}

/// Clients that write a body of 11 MB completely before they read.
async fn too_large(options: Options) -> anyhow::Result<Observed> {
    let body = vec![b' '; 11_000_000];
    let head = head("POST", "/api/v1/auth/login", body.len());
    let mut statuses = BTreeMap::<String, usize>::new();
    for _ in 0..options.at_once {
        let result = exchange(options.address, &head, &body).await;
        let status = result.map_or_else(|error| error.to_string(), |(status, _)| status);
        *statuses.entry(status).or_default() += 1;
    }
    let as_specified = statuses.keys().all(|status| status == "413");
    Ok(Observed { responses: summary(&statuses), longest: None, as_specified })
}

/// Clients that send nearly all of a body and then nothing.
async fn unfinished_bodies(options: Options) -> anyhow::Result<Observed> {
    let body = vec![b' '; 1_000_000];
    let head = head("POST", "/api/v1/auth/login", body.len() + 1);
    let clients = (0..1_500).map(|_| async {
        let mut stream = TcpStream::connect(options.address).await?;
        stream.write_all(head.as_bytes()).await?;
        // The service stops reading when too many bodies are in flight.
        let _ = timeout(HOLD, stream.write_all(&body)).await;
        sleep(HOLD).await;
        anyhow::Ok(())
    });
    let refused = join_all(clients).await.iter().filter(|client| client.is_err()).count();
    let responses = format!("{refused} of 1,500 not connected or reset");
    Ok(Observed { responses, longest: None, as_specified: true })
}

/// Clients that request lists again and again without reading a byte. They must be cut off.
async fn never_reading(options: Options) -> anyhow::Result<Observed> {
    let request = "GET /api/v1/agents?limit=100 HTTP/1.1\r\nHost: plant\r\n\r\n".repeat(200);
    let clients = (0..200).map(|_| async {
        let mut stream = TcpStream::connect(options.address).await?;
        let started_at = Instant::now();
        let give_up_at = started_at + Duration::from_secs(60);
        while Instant::now() < give_up_at {
            match timeout(HOLD, stream.write_all(request.as_bytes())).await {
                // The service does not read on.
                Err(_) => {}
                Ok(Ok(())) => {}
                Ok(Err(_)) => return anyhow::Ok(true),
            }
            if is_closed(&mut stream).await {
                return Ok(true);
            }
        }
        Ok(false)
    });
    let cut_off =
        join_all(clients).await.into_iter().filter(|cut| matches!(cut, Ok(true) | Err(_)));
    let cut_off = cut_off.count();
    let responses = format!("{cut_off} of 200 cut off");
    Ok(Observed { responses, longest: None, as_specified: cut_off == 200 })
}

/// Returns whether the connection was reset, without reading what the service has sent.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.take_error(), Ok(Some(_)) | Err(_))
        || stream.try_write(b"G").is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
}
