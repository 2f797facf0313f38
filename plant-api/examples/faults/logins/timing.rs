//! Checks that the response time of a refused login does not reveal whether the email has an
//! account.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::{LOGIN, credentials};
use crate::client::Client;
use crate::percentiles::percentile;

/// Samples of each kind. Each email is used once, so that no account gets locked.
const SAMPLES: usize = 200;
const WARM_UP_SAMPLES: usize = 10;
/// Samples of each kind from one client address, which is blocked after 100 failed logins.
const SAMPLES_PER_CLIENT: usize = 42;
/// Maximum difference of the medians, as a share of the smaller one.
const MAX_DIFFERENCE: f64 = 0.05;

/// Settings of the timing test.
#[derive(Args)]
pub struct Options {
    /// Address of the service; it needs at least 210 seeded accounts.
    #[arg(long)]
    address: SocketAddr,
}

/// Prints both medians. Returns whether they differ by at most 5 %.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let mut client = Client::new(options.address);
    let mut client_number = 1;
    let (mut wrong_password, mut unknown_email) = (Vec::new(), Vec::new());
    for n in 1..=WARM_UP_SAMPLES + SAMPLES {
        if n % SAMPLES_PER_CLIENT == 0 {
            client_number += 1;
            client = Client::from_source(Ipv4Addr::new(127, 0, 0, client_number), options.address);
            // The first request is slower, because it opens the connection.
            client.get("/health").await?;
        }
        let existing = credentials("loadtest", n, "not that one");
        let missing = credentials("somebody", n, "not that one");
        // The order alternates, because the first of the two may be slower.
        let order = [(&existing, &mut wrong_password), (&missing, &mut unknown_email)];
        let order = if n % 2 == 0 {
            order
        } else {
            let [a, b] = order;
            [b, a]
        };
        for (body, latencies) in order {
            let latency = refused_login(&mut client, body).await?;
            if n > WARM_UP_SAMPLES {
                latencies.push(latency);
            }
        }
    }
    let medians = [percentile(&mut wrong_password, 0.5), percentile(&mut unknown_email, 0.5)];
    let [wrong, unknown] = medians.map(|latency| latency.as_secs_f64() * 1000.0);
    let difference = (wrong - unknown).abs() / wrong.min(unknown);
    println!("| refused login | samples | median | P90 |\n|---|---:|---:|---:|");
    for (name, latencies) in
        [("wrong password", &mut wrong_password), ("unknown email", &mut unknown_email)]
    {
        let [median, p90] =
            [0.5, 0.9].map(|quantile| percentile(latencies, quantile).as_secs_f64() * 1000.0);
        println!("| {name} | {} | {median:.3} ms | {p90:.3} ms |", latencies.len());
    }
    let met = difference <= MAX_DIFFERENCE;
    let result = if met { "met" } else { "VIOLATED" };
    println!(
        "\nThe medians differ by {:.2} %. Threshold of at most {:.0} %: {result}.",
        difference * 100.0,
        MAX_DIFFERENCE * 100.0
    );
    Ok(met)
}

/// Sends a login that must be refused with 401. Returns the response time.
async fn refused_login(client: &mut Client, body: &Value) -> anyhow::Result<Duration> {
    let started_at = Instant::now();
    let response = client.send(Method::POST, LOGIN, Some(body)).await?;
    let latency = started_at.elapsed();
    ensure!(response.status == 401, "{body}: expected status 401, got {}", response.status);
    Ok(latency)
}
