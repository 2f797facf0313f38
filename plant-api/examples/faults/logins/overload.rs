//! Twice as many logins as can be hashed: most of what can be done is done, the rest is told so at
//! once, and who asks for something else hardly notices.

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

const PROBES_A_SECOND: f64 = 100.0;
const ACCOUNTS: usize = 200;
/// Clients that log in again as soon as they are in, to find out how many can.
const AT_ONCE: usize = 4;
const AGENTS: &str = "/api/v1/agents";

/// Where to ask, and for how long.
#[derive(Args)]
pub struct Options {
    /// Address of the service, with at least 200 planted accounts.
    #[arg(long)]
    address: SocketAddr,
    /// Seconds of each of the three parts.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// What one request met with.
struct Met {
    status: u16,
    retry_after: bool,
    /// From when it should have been sent.
    wait: Duration,
}

/// Prints the table; whether every promise was kept.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let span = Duration::from_secs(options.seconds);
    let Options { address, .. } = options;
    at_rate(address, PROBES_A_SECOND, Duration::from_secs(2), probe).await;

    let mut calm = at_rate(address, PROBES_A_SECOND, span, probe).await;
    let capacity = capacity(address, span).await? as f64 / span.as_secs_f64();
    let rate = 2.0 * capacity;
    let (mut busy, logins) = tokio::join!(
        at_rate(address, PROBES_A_SECOND, span, probe),
        at_rate(address, rate, span, log_in),
    );

    let (good, rest): (Vec<_>, Vec<_>) = logins.iter().partition(|met| met.status == 200);
    let shed = rest.iter().filter(|met| met.status == 503 && met.retry_after).count();
    let goodput = good.len() as f64 / span.as_secs_f64();
    let waits = |mets: &[&Met]| mets.iter().map(|met| met.wait).collect::<Vec<_>>();
    let (mut good_waits, mut shed_waits) = (waits(&good), waits(&rest));
    let [calm_99, busy_99] = [&mut calm, &mut busy]
        .map(|mets| percentile(&mut mets.iter().map(|met| met.wait).collect::<Vec<_>>(), 0.99));
    println!("capacity: {capacity:.1} logins a second, {AT_ONCE} clients at once, probes beside");
    println!("offered: {rate:.1} a second for {span:?}\n");
    println!("| answer | number | P50 | P99 | longest |\n|---|---:|---:|---:|---:|");
    print_row("200", &mut good_waits);
    print_row("503 with Retry-After", &mut shed_waits);
    println!("| anything else | {} | | | |\n", rest.len() - shed);

    let longest = shed_waits.last().copied().unwrap_or_default();
    let failed = calm.iter().chain(&busy).filter(|met| met.status != 200).count();
    let promises = [
        (
            goodput >= 0.8 * capacity,
            format!(
                "goodput {goodput:.1} a second, {:.0} % of capacity; at least 80 %",
                100.0 * goodput / capacity,
            ),
        ),
        (rest.len() == shed && shed > 0, "all the rest 503 with Retry-After".to_owned()),
        (
            longest <= Duration::from_millis(50),
            format!("told so within {longest:.1?}; 50 ms at most"),
        ),
        (
            busy_99 < calm_99 * 2,
            format!(
                "P99 of GET {AGENTS}: {calm_99:.2?} before, {busy_99:.2?} meanwhile, {:.2}×; less than 2×",
                busy_99.as_secs_f64() / calm_99.as_secs_f64(),
            ),
        ),
        (failed == 0, format!("{failed} of {} such requests failed", calm.len() + busy.len())),
    ];
    for (kept, what) in &promises {
        println!("- {}: {what}", if *kept { "kept" } else { "MISSED" });
    }
    Ok(promises.iter().all(|(kept, _)| *kept))
}

fn print_row(what: &str, waits: &mut [Duration]) {
    let [half, most, longest] =
        [0.5, 0.99, 1.0].map(|share| percentile(waits, share).as_secs_f64() * 1000.0);
    println!("| {what} | {} | {half:.1} ms | {most:.1} ms | {longest:.1} ms |", waits.len());
}

/// How many logins succeed in `span`, beside the usual probes.
async fn capacity(address: SocketAddr, span: Duration) -> anyhow::Result<usize> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..AT_ONCE)
        .map(|first| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let (mut client, mut done) = (Client::new(address), 0);
                while !stop.load(Ordering::Relaxed) {
                    let turn = first + done * AT_ONCE;
                    done += usize::from(log_in(&mut client, turn).await?.0 == 200);
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    at_rate(address, PROBES_A_SECOND, span, probe).await;
    stop.store(true, Ordering::Relaxed);
    let mut done = 0;
    for client in clients {
        done += client.await??;
    }
    ensure!(done > 0, "no login succeeded; are the accounts planted?");
    Ok(done)
}

async fn probe(client: &mut Client, _: usize) -> anyhow::Result<(u16, bool)> {
    let answer = client.send(Method::GET, AGENTS, None).await?;
    Ok((answer.status, answer.retry_after))
}

async fn log_in(client: &mut Client, turn: usize) -> anyhow::Result<(u16, bool)> {
    let body = credentials("loadtest", turn % ACCOUNTS + 1, "load-test-password");
    let answer = client.send(Method::POST, LOGIN, Some(&body)).await?;
    Ok((answer.status, answer.retry_after))
}

/// Asks at a steady rate, whether or not what was asked before has been answered; 0 stands for no
/// answer.
async fn at_rate(
    address: SocketAddr,
    rate: f64,
    span: Duration,
    ask: impl AsyncFn(&mut Client, usize) -> anyhow::Result<(u16, bool)> + Copy + Send + Sync + 'static,
) -> Vec<Met> {
    let idle: Arc<Mutex<Vec<Client>>> = Arc::default();
    let turn = AtomicUsize::new(0);
    let began = Instant::now();
    let mut running = futures::stream::FuturesUnordered::new();
    let total = (rate * span.as_secs_f64()) as usize;
    let mut mets = Vec::with_capacity(total);
    let mut sent = 0;
    loop {
        use futures::StreamExt;
        let due = began + Duration::from_secs_f64(sent as f64 / rate);
        tokio::select! {
            () = sleep_until(due), if sent < total => {
                sent += 1;
                let (idle, turn) = (idle.clone(), turn.fetch_add(1, Ordering::Relaxed));
                running.push(async move {
                    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let mut client = kept.unwrap_or_else(|| Client::new(address));
                    let (status, retry_after) = ask(&mut client, turn).await.unwrap_or_default();
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
                    Met { status, retry_after, wait: due.elapsed() }
                });
            }
            Some(met) = running.next() => mets.push(met),
            else => return mets,
        }
    }
}
