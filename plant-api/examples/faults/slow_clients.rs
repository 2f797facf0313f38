//! Idle connections, and clients that send a byte of their headers each second, beside healthy
//! ones; and well-behaved clients that think for long between two requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::client::Client;
use crate::percentiles::percentile;

/// How many of whom.
#[derive(Parser)]
pub struct Options {
    /// The service.
    #[arg(long)]
    address: SocketAddr,
    /// Connections on which nothing is ever sent.
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// Connections on which a byte of the headers is sent each second.
    #[arg(long, default_value_t = 1000)]
    slow: usize,
    /// Clients with 8 seconds between two requests.
    #[arg(long, default_value_t = 100)]
    thinking: usize,
    /// Healthy clients, whose waits are measured.
    #[arg(long, default_value_t = 16)]
    healthy: usize,
}

const PACE: Duration = Duration::from_millis(40);
const THINKING: Duration = Duration::from_secs(8);

/// How long the healthy ones are measured alone, and how long the others are watched.
const ALONE: Duration = Duration::from_secs(4);
const TOGETHER: Duration = Duration::from_secs(18);

const HEALTHY_P99: Duration = Duration::from_millis(100);
/// Ten seconds, and what a busy machine may need to notice.
const CUT: Duration = Duration::from_millis(10_500);

/// A path that needs PostgreSQL or the cache, not only the process.
const PATH: &str = "/api/v1/agents?limit=20";

/// Whether slow clients were cut in time and healthy ones not disturbed.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut alone = healthy(&options, ALONE).await?;

    let mut slow = JoinSet::new();
    for _ in 0..options.slow {
        slow.spawn(drip(options.address));
    }
    let mut idle = JoinSet::new();
    for _ in 0..options.idle {
        idle.spawn(idle_until_closed(options.address));
    }
    let mut thinking = JoinSet::new();
    for _ in 0..options.thinking {
        thinking.spawn(think(options.address));
    }
    let mut together = healthy(&options, TOGETHER).await?;

    let (mut slow, mut idle) = (slow.join_all().await, idle.join_all().await);
    let cut_in_thought = thinking.join_all().await.into_iter().filter(|kept| !kept).count();
    let slowest_cut = percentile(&mut slow, 1.0);
    let p99 = percentile(&mut together, 0.99);
    println!(
        "healthy clients ({}): P99 {:?} alone, {p99:?} beside the others, longest {:?}",
        options.healthy,
        percentile(&mut alone, 0.99),
        percentile(&mut together, 1.0),
    );
    println!(
        "{} clients with a byte a second: cut after {:?} to {slowest_cut:?}",
        options.slow,
        percentile(&mut slow, 0.0),
    );
    println!(
        "{} idle connections: the first closed after {:?}, the last after {:?} (watched for {:?})",
        options.idle,
        percentile(&mut idle, 0.0),
        percentile(&mut idle, 1.0),
        TOGETHER,
    );
    println!("{} clients that think for 8 s: {cut_in_thought} cut", options.thinking);
    let kept = p99 <= HEALTHY_P99 && slowest_cut <= CUT && cut_in_thought == 0;
    println!("{}", if kept { "kept" } else { "MISSED" });
    Ok(kept)
}

/// The waits of healthy clients, none of which may fail.
async fn healthy(options: &Options, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..options.healthy {
        clients.spawn(ask(Client::new(options.address), stop.clone()));
    }
    sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut waits = Vec::new();
    while let Some(client) = clients.join_next().await {
        waits.extend(client??);
    }
    Ok(waits)
}

async fn ask(mut client: Client, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        client.get(PATH).await?;
        waits.push(began.elapsed());
        sleep_until(began + PACE).await;
    }
    Ok(waits)
}

/// Sends a byte each second; how long the service put up with it.
async fn drip(address: SocketAddr) -> Duration {
    let Ok(mut stream) = TcpStream::connect(address).await else { return TOGETHER };
    let began = Instant::now();
    for byte in b"GET /health HTTP/1.1\r\nHost: plant\r\n" {
        if stream.write_all(std::slice::from_ref(byte)).await.is_err()
            || closed_within(&mut stream, Duration::from_secs(1)).await
        {
            break;
        }
        if began.elapsed() > TOGETHER {
            break;
        }
    }
    began.elapsed()
}

/// How long a connection may be open without a word.
async fn idle_until_closed(address: SocketAddr) -> Duration {
    let Ok(mut stream) = TcpStream::connect(address).await else { return Duration::ZERO };
    let began = Instant::now();
    closed_within(&mut stream, TOGETHER).await;
    began.elapsed()
}

/// Whether the service closes the connection within `time`.
async fn closed_within(stream: &mut TcpStream, time: Duration) -> bool {
    timeout(time, stream.read(&mut [0; 512])).await.is_ok()
}

/// Asks, thinks, and asks again on the same connection; whether that was still open.
async fn think(address: SocketAddr) -> bool {
    let mut client = Client::new(address);
    for _ in 0..2 {
        if client.send(Method::GET, "/livez", None).await.is_err() {
            return false;
        }
        sleep(THINKING).await;
        if !client.is_open() {
            return false;
        }
    }
    true
}
