//! Command that inserts test data; see `plant_api::seed`.

use std::process::ExitCode;

use clap::Parser;
use plant_api::seed;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(seed::Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seed_test_data: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: seed::Options) -> anyhow::Result<()> {
    let outcome = seed::run(&options.check()?).await?;
    println!("{outcome}");
    Ok(())
}
