//! Baseline for the cost of the load generator (scripts/bench_harness.sh): plain Goose that sends
//! requests and reads the bodies. Arguments: path, host, users, run time.

use std::sync::LazyLock;

use goose::prelude::*;

static PATH: LazyLock<String> =
    LazyLock::new(|| std::env::args().nth(1).unwrap_or_else(|| "/health".into()));

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let mut configuration = goose::config::GooseConfiguration::default();
    let argument = |index: usize| std::env::args().nth(index).unwrap_or_default();
    configuration.host = Some(argument(2));
    configuration.users = argument(3).parse().ok();
    configuration.run_time = Some(argument(4));
    configuration.increase_rate = Some("1000".into());
    configuration.no_telnet = true;
    configuration.no_websocket = true;
    configuration.quiet = 1;
    GooseAttack::initialize_with_config(configuration)?
        .register_scenario(scenario!("bare").register_transaction(transaction!(get)))
        .execute()
        .await?;
    Ok(())
}

async fn get(user: &mut GooseUser) -> TransactionResult {
    let goose = user.get(&PATH).await?;
    // The connection is reused only after the body was read.
    if let Ok(response) = goose.response {
        let _ = response.bytes().await;
    }
    Ok(())
}
