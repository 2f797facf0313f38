//! Stops the service again and again while clients send requests on kept connections, and counts
//! the requests that were lost: connections closed or reset although the last response did not
//! announce it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Client;

/// Number of stops and of clients.
#[derive(Parser)]
pub struct Options {
    /// Path of the `plant-api` executable.
    #[arg(long)]
    program: PathBuf,
    /// Address on which the service listens.
    #[arg(long)]
    address: SocketAddr,
    /// Number of stops.
    #[arg(long, default_value_t = 20)]
    stops: usize,
    /// Number of clients.
    #[arg(long, default_value_t = 32)]
    clients: usize,
    /// Open a connection for each request.
    #[arg(long)]
    no_keep_alive: bool,
}

const PATH: &str = "/api/v1/agents?limit=20";

/// Duration of the load before each stop.
const LOAD_DURATION: Duration = Duration::from_millis(500);

/// Timeout for the start of the service.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// What clients experienced until the service had stopped.
#[derive(Default)]
struct Counts {
    requests: usize,
    /// Requests on a new connection that was closed or reset without a response.
    lost_on_new_connections: usize,
    /// Requests on a kept connection that was closed or reset without announcement.
    lost_on_kept_connections: usize,
}

/// Prints the counts of each stop. Returns whether no request was lost and `/readyz` failed before
/// connections were refused.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    println!(
        "| stop | requests | lost, new connection | lost, kept connection | /readyz 503 | duration |"
    );
    println!("|---:|---:|---:|---:|---:|---:|");
    let mut met = true;
    for stop in 1..=options.stops {
        let mut service = start(&options).await?;
        let mut clients = JoinSet::new();
        for _ in 0..options.clients {
            clients.spawn(send_requests(options.address, !options.no_keep_alive));
        }
        sleep(LOAD_DURATION).await;
        let stopped_at = Instant::now();
        terminate(&service).await?;
        let unready = count_unready(options.address).await;
        ensure!(service.wait().await?.success(), "the service did not exit with status 0");
        let duration = stopped_at.elapsed();
        let mut total = Counts::default();
        for counts in clients.join_all().await {
            total.requests += counts.requests;
            total.lost_on_new_connections += counts.lost_on_new_connections;
            total.lost_on_kept_connections += counts.lost_on_kept_connections;
        }
        let Counts { requests, lost_on_new_connections: new, lost_on_kept_connections: kept } =
            total;
        println!("| {stop} | {requests} | {new} | {kept} | {unready} | {duration:.1?} |");
        met &= new == 0 && kept == 0 && unready > 0;
    }
    println!("thresholds {}", if met { "met" } else { "VIOLATED" });
    Ok(met)
}

async fn start(options: &Options) -> anyhow::Result<Child> {
    let mut command = Command::new(&options.program);
    command.args(["serve", "--listen", &options.address.to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let service = command.spawn().context("cannot start plant-api")?;
    let started_at = Instant::now();
    while Client::new(options.address).get(PATH).await.is_err() {
        ensure!(started_at.elapsed() < START_TIMEOUT, "the service does not respond");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(service)
}

async fn terminate(service: &Child) -> anyhow::Result<()> {
    let pid = service.id().context("the service has exited")?.to_string();
    ensure!(Command::new("kill").arg(pid).status().await?.success(), "cannot send SIGTERM");
    Ok(())
}

/// Probes `/readyz` on new connections until they are refused. Returns the number of 503 responses.
async fn count_unready(address: SocketAddr) -> usize {
    let mut unready = 0;
    while let Ok(response) = Client::new(address).send(hyper::Method::GET, "/readyz", None).await {
        unready += usize::from(response.status == 503);
        sleep(Duration::from_millis(50)).await;
    }
    unready
}

/// Sends requests until connections are refused.
async fn send_requests(address: SocketAddr, keep_alive: bool) -> Counts {
    let mut counts = Counts::default();
    while let Ok(stream) = TcpStream::connect(address).await {
        let mut stream = BufStream::new(stream);
        let mut is_new = true;
        loop {
            counts.requests += 1;
            match request(&mut stream, keep_alive).await {
                Ok(true) => break,
                Ok(false) => is_new = false,
                Err(_) if is_new => {
                    counts.lost_on_new_connections += 1;
                    break;
                }
                Err(_) => {
                    counts.lost_on_kept_connections += 1;
                    break;
                }
            }
        }
    }
    counts
}

/// Sends a request and reads the response. Returns whether it announces the end of the connection.
async fn request(stream: &mut BufStream<TcpStream>, keep_alive: bool) -> anyhow::Result<bool> {
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: plant\r\n{connection}\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?.to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
    let length = length.context("a response without Content-Length")?.parse()?;
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(head.contains("\r\nconnection: close\r\n"))
}
