//! Opens idle connections and clients that send one byte of their headers per second, next to
//! healthy clients and to well-behaved clients with a long think time.

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

/// Numbers of clients.
#[derive(Parser)]
pub struct Options {
    /// Address of the service.
    #[arg(long)]
    address: SocketAddr,
    /// Number of connections that send nothing.
    #[arg(long, default_value_t = 2000)]
    idle: usize,
    /// Number of connections that send one byte of their headers per second.
    #[arg(long, default_value_t = 1000)]
    slow: usize,
    /// Number of clients with a think time of 8 s.
    #[arg(long, default_value_t = 100)]
    thinking: usize,
    /// Number of healthy clients, whose latencies are measured.
    #[arg(long, default_value_t = 16)]
    healthy: usize,
}

/// Interval between the starts of two requests of one healthy client.
const REQUEST_INTERVAL: Duration = Duration::from_millis(40);
const THINK_TIME: Duration = Duration::from_secs(8);

/// Duration of the measurement without and with the other clients.
const BASELINE_DURATION: Duration = Duration::from_secs(4);
const TEST_DURATION: Duration = Duration::from_secs(18);

const MAX_HEALTHY_P99: Duration = Duration::from_millis(100);
/// Maximum time until a slow client is disconnected: the service's timeout of 10 s, and a margin
/// for a busy machine.
const MAX_SLOW_CONNECTION: Duration = Duration::from_millis(10_500);

/// A path that needs PostgreSQL or the cache, not only the process.
const PATH: &str = "/api/v1/agents?limit=20";

/// Prints the measurements. Returns whether slow clients were disconnected in time and the others
/// were not affected.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let mut baseline = measure_healthy(&options, BASELINE_DURATION).await?;

    let mut slow = JoinSet::new();
    for _ in 0..options.slow {
        slow.spawn(send_slowly(options.address));
    }
    let mut idle = JoinSet::new();
    for _ in 0..options.idle {
        idle.spawn(idle_until_closed(options.address));
    }
    let mut thinking = JoinSet::new();
    for _ in 0..options.thinking {
        thinking.spawn(think(options.address));
    }
    let mut latencies = measure_healthy(&options, TEST_DURATION).await?;

    let (mut slow, mut idle) = (slow.join_all().await, idle.join_all().await);
    let disconnected = thinking.join_all().await.into_iter().filter(|open| !open).count();
    let longest_slow = percentile(&mut slow, 1.0);
    let p99 = percentile(&mut latencies, 0.99);
    println!(
        "healthy clients ({}): P99 {:?} alone, {p99:?} with the other clients, maximum {:?}",
        options.healthy,
        percentile(&mut baseline, 0.99),
        percentile(&mut latencies, 1.0),
    );
    println!(
        "{} clients sending one byte per second: disconnected after {:?} to {longest_slow:?}",
        options.slow,
        percentile(&mut slow, 0.0),
    );
    println!(
        "{} idle connections: closed after {:?} to {:?} (observed for {:?})",
        options.idle,
        percentile(&mut idle, 0.0),
        percentile(&mut idle, 1.0),
        TEST_DURATION,
    );
    println!("{} clients with a think time of 8 s: {disconnected} disconnected", options.thinking);
    let met = p99 <= MAX_HEALTHY_P99 && longest_slow <= MAX_SLOW_CONNECTION && disconnected == 0;
    println!("thresholds {}", if met { "met" } else { "VIOLATED" });
    Ok(met)
}

/// Returns the latencies of the healthy clients. Any failed request is an error.
async fn measure_healthy(options: &Options, duration: Duration) -> anyhow::Result<Vec<Duration>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..options.healthy {
        clients.spawn(send_requests(Client::new(options.address), stop.clone()));
    }
    sleep(duration).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    Ok(latencies)
}

async fn send_requests(mut client: Client, stop: Arc<AtomicBool>) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let started_at = Instant::now();
        client.get(PATH).await?;
        latencies.push(started_at.elapsed());
        sleep_until(started_at + REQUEST_INTERVAL).await;
    }
    Ok(latencies)
}

/// Sends one byte per second. Returns the time until the service closed the connection.
async fn send_slowly(address: SocketAddr) -> Duration {
    let Ok(mut stream) = TcpStream::connect(address).await else { return TEST_DURATION };
    let started_at = Instant::now();
    for byte in b"GET /health HTTP/1.1\r\nHost: plant\r\n" {
        if stream.write_all(std::slice::from_ref(byte)).await.is_err()
            || closed_within(&mut stream, Duration::from_secs(1)).await
        {
            break;
        }
        if started_at.elapsed() > TEST_DURATION {
            break;
        }
    }
    started_at.elapsed()
}

/// Sends nothing. Returns the time until the service closed the connection.
async fn idle_until_closed(address: SocketAddr) -> Duration {
    let Ok(mut stream) = TcpStream::connect(address).await else { return Duration::ZERO };
    let started_at = Instant::now();
    closed_within(&mut stream, TEST_DURATION).await;
    started_at.elapsed()
}

/// Returns whether the service closes the connection within `time`.
async fn closed_within(stream: &mut TcpStream, time: Duration) -> bool {
    timeout(time, stream.read(&mut [0; 512])).await.is_ok()
}

/// Sends two requests with a think time after each. Returns whether the connection stayed open.
async fn think(address: SocketAddr) -> bool {
    let mut client = Client::new(address);
    for _ in 0..2 {
        if client.send(Method::GET, "/livez", None).await.is_err() {
            return false;
        }
        sleep(THINK_TIME).await;
        if !client.is_open() {
            return false;
        }
    }
    true
}
