//! Sends twice as many logins as the service can process. The service must process nearly as many
//! as without overload, reject the rest at once, and stay responsive for other requests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use hyper::Method;
use tokio::time::{Instant, sleep_until};

use super::{LOGIN, credentials};
use crate::client::Client;
use crate::percentiles::percentile;

/// Rate of the other requests, which are sent in all phases.
const PROBES_PER_SECOND: f64 = 100.0;
const ACCOUNTS: usize = 200;
/// Concurrent clients of the capacity measurement.
const CAPACITY_CLIENTS: usize = 4;
const AGENTS: &str = "/api/v1/agents";

/// Settings of the overload test.
#[derive(Args)]
pub struct Options {
    /// Address of the service; it needs at least 200 seeded accounts.
    #[arg(long)]
    address: SocketAddr,
    /// Duration of each of the three phases, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// A response to a scheduled request.
struct Sample {
    /// HTTP status; 0: no response.
    status: u16,
    retry_after: bool,
    /// Time from the scheduled start to the response.
    latency: Duration,
}

/// Prints the table. Returns whether all thresholds were met.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let phase = Duration::from_secs(options.seconds);
    let Options { address, .. } = options;
    // Warm-up.
    send_at_rate(address, PROBES_PER_SECOND, Duration::from_secs(2), probe).await;

    let mut before = send_at_rate(address, PROBES_PER_SECOND, phase, probe).await;
    let capacity = measure_capacity(address, phase).await? as f64 / phase.as_secs_f64();
    let rate = 2.0 * capacity;
    let (mut during, logins) = tokio::join!(
        send_at_rate(address, PROBES_PER_SECOND, phase, probe),
        send_at_rate(address, rate, phase, log_in),
    );

    let (successful, rest): (Vec<_>, Vec<_>) =
        logins.iter().partition(|sample| sample.status == 200);
    let shed = rest.iter().filter(|sample| sample.status == 503 && sample.retry_after).count();
    let goodput = successful.len() as f64 / phase.as_secs_f64();
    let latencies =
        |samples: &[&Sample]| samples.iter().map(|sample| sample.latency).collect::<Vec<_>>();
    let (mut successful_latencies, mut shed_latencies) = (latencies(&successful), latencies(&rest));
    let [p99_before, p99_during] = [&mut before, &mut during].map(|samples| {
        percentile(&mut samples.iter().map(|sample| sample.latency).collect::<Vec<_>>(), 0.99)
    });
    println!("capacity: {capacity:.1} logins/s with {CAPACITY_CLIENTS} concurrent clients");
    println!("offered load: {rate:.1} logins/s for {phase:?}\n");
    println!("| response | number | P50 | P99 | maximum |\n|---|---:|---:|---:|---:|");
    print_row("200", &mut successful_latencies);
    print_row("503 with Retry-After", &mut shed_latencies);
    println!("| other | {} | | | |\n", rest.len() - shed);

    let slowest_shed = shed_latencies.last().copied().unwrap_or_default();
    let failed = before.iter().chain(&during).filter(|sample| sample.status != 200).count();
    let thresholds = [
        (
            goodput >= 0.8 * capacity,
            format!(
                "goodput {goodput:.1} logins/s, {:.0} % of capacity; at least 80 %",
                100.0 * goodput / capacity,
            ),
        ),
        (rest.len() == shed && shed > 0, "all other logins get 503 with Retry-After".to_owned()),
        (
            slowest_shed <= Duration::from_millis(50),
            format!("slowest 503 after {slowest_shed:.1?}; at most 50 ms"),
        ),
        (
            p99_during < p99_before * 2,
            format!(
                "P99 of GET {AGENTS}: {p99_before:.2?} before, {p99_during:.2?} during overload, {:.2}×; less than 2×",
                p99_during.as_secs_f64() / p99_before.as_secs_f64(),
            ),
        ),
        (
            failed == 0,
            format!("{failed} of {} requests GET {AGENTS} failed", before.len() + during.len()),
        ),
    ];
    for (met, text) in &thresholds {
        println!("- {}: {text}", if *met { "met" } else { "VIOLATED" });
    }
    Ok(thresholds.iter().all(|(met, _)| *met))
}

fn print_row(name: &str, latencies: &mut [Duration]) {
    let [p50, p99, max] =
        [0.5, 0.99, 1.0].map(|quantile| percentile(latencies, quantile).as_secs_f64() * 1000.0);
    println!("| {name} | {} | {p50:.1} ms | {p99:.1} ms | {max:.1} ms |", latencies.len());
}

/// Logs in with concurrent clients in a closed loop, while probes are sent. Returns the number of
/// successful logins in `duration`.
async fn measure_capacity(address: SocketAddr, duration: Duration) -> anyhow::Result<usize> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CAPACITY_CLIENTS)
        .map(|first| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let (mut client, mut successful) = (Client::new(address), 0);
                while !stop.load(Ordering::Relaxed) {
                    let number = first + successful * CAPACITY_CLIENTS;
                    successful += usize::from(log_in(&mut client, number).await?.0 == 200);
                }
                anyhow::Ok(successful)
            })
        })
        .collect();
    send_at_rate(address, PROBES_PER_SECOND, duration, probe).await;
    stop.store(true, Ordering::Relaxed);
    let mut successful = 0;
    for client in clients {
        successful += client.await??;
    }
    ensure!(
        successful > 0,
        "no login succeeded; run seed_test_data with --users={ACCOUNTS} or more"
    );
    Ok(successful)
}

async fn probe(client: &mut Client, _: usize) -> anyhow::Result<(u16, bool)> {
    let response = client.send(Method::GET, AGENTS, None).await?;
    Ok((response.status, response.retry_after))
}

async fn log_in(client: &mut Client, number: usize) -> anyhow::Result<(u16, bool)> {
    let body = credentials("loadtest", number % ACCOUNTS + 1, "load-test-password");
    let response = client.send(Method::POST, LOGIN, Some(&body)).await?;
    Ok((response.status, response.retry_after))
}

/// Sends requests at a constant rate without waiting for responses (open model).
async fn send_at_rate(
    address: SocketAddr,
    rate: f64,
    duration: Duration,
    send: impl AsyncFn(&mut Client, usize) -> anyhow::Result<(u16, bool)> + Copy + Send + Sync + 'static,
) -> Vec<Sample> {
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let number = AtomicUsize::new(0);
    let started_at = Instant::now();
    let mut in_flight = futures::stream::FuturesUnordered::new();
    let total = (rate * duration.as_secs_f64()) as usize;
    let mut samples = Vec::with_capacity(total);
    let mut sent = 0;
    loop {
        use futures::StreamExt;
        let scheduled_at = started_at + Duration::from_secs_f64(sent as f64 / rate);
        tokio::select! {
            () = sleep_until(scheduled_at), if sent < total => {
                sent += 1;
                let (idle, number) = (idle.clone(), number.fetch_add(1, Ordering::Relaxed));
                in_flight.push(async move {
                    let client = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let mut client = client.unwrap_or_else(|| Client::new(address));
                    let (status, retry_after) = send(&mut client, number).await.unwrap_or_default();
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
                    Sample { status, retry_after, latency: scheduled_at.elapsed() }
                });
            }
            Some(sample) = in_flight.next() => samples.push(sample),
            else => return samples,
        }
    }
}
