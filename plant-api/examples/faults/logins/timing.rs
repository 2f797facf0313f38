//! Whether an address without an account is told from one with by the time its refusal takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::{LOGIN, credentials};
use crate::client::Client;
use crate::percentiles::percentile;

/// Of each kind: an address is asked once, so that none is closed.
const SAMPLES: usize = 200;
const WARM_UP: usize = 10;
/// Most that the medians may differ, as a share of the smaller.
const MOST: f64 = 0.05;

/// Where to ask.
#[derive(Args)]
pub struct Options {
    /// Address of the service, with at least 210 planted accounts.
    #[arg(long)]
    address: SocketAddr,
}

/// Prints both medians; whether they are within 5 %.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let mut client = Client::new(options.address);
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for n in 1..=WARM_UP + SAMPLES {
        let right = credentials("loadtest", n, "not that one");
        let nobody = credentials("somebody", n, "not that one");
        // Whichever comes first may be at a disadvantage: each does every other time.
        let order = [(&right, &mut wrong), (&nobody, &mut unknown)];
        let order = if n % 2 == 0 {
            order
        } else {
            let [a, b] = order;
            [b, a]
        };
        for (body, waits) in order {
            let wait = refused(&mut client, body).await?;
            if n > WARM_UP {
                waits.push(wait);
            }
        }
    }
    let medians = [percentile(&mut wrong, 0.5), percentile(&mut unknown, 0.5)];
    let [wrong_median, unknown_median] = medians.map(|wait| wait.as_secs_f64() * 1000.0);
    let apart = (wrong_median - unknown_median).abs() / wrong_median.min(unknown_median);
    println!("| refused login | samples | median | P90 |\n|---|---:|---:|---:|");
    for (what, waits) in [("wrong password", &mut wrong), ("unknown address", &mut unknown)] {
        let [half, most] = [0.5, 0.9].map(|share| percentile(waits, share).as_secs_f64() * 1000.0);
        println!("| {what} | {} | {half:.3} ms | {most:.3} ms |", waits.len());
    }
    let kept = apart <= MOST;
    let verdict = if kept { "kept" } else { "MISSED" };
    println!("\nThe medians are {:.2} % apart; at most 5 %: {verdict}.", apart * 100.0);
    Ok(kept)
}

async fn refused(client: &mut Client, body: &Value) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let answer = client.send(Method::POST, LOGIN, Some(body)).await?;
    let wait = began.elapsed();
    ensure!(answer.status == 401, "{body} was answered {}", answer.status);
    Ok(wait)
}
