//! Goose by itself, reading bodies and doing nothing else: what the harness's cost is compared with
//! (scripts/bench_harness.sh). Its arguments: path, host, users, run time.

use std::sync::LazyLock;

use goose::prelude::*;

static PATH: LazyLock<String> =
    LazyLock::new(|| std::env::args().nth(1).unwrap_or_else(|| "/health".into()));

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let mut configuration = goose::config::GooseConfiguration::default();
    let argument = |place: usize| std::env::args().nth(place).unwrap_or_default();
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
    // Without reading the body the connection is not used again.
    if let Ok(response) = goose.response {
        let _ = response.bytes().await;
    }
    Ok(())
}
