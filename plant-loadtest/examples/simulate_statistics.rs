//! Measures how often the statistics give each result on data with known properties: leak detection
//! over 24 hours of memory samples, and comparisons of identical runs and of runs that are slower.
//!
//! `cargo run --example simulate_statistics leaks [SERIES]` or `comparisons [SERIES]`, with the number of
//! simulated series or comparisons for each row of the table (400).

use plant_loadtest::{compare::simulation, verdict::leak_simulation};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let statistic = arguments.next().unwrap_or_default();
    let series = arguments.next().map_or(Ok(400), |count| count.parse());
    match (statistic.as_str(), series) {
        ("leaks", Ok(series)) => println!("{}", leak_simulation::table(series)),
        ("comparisons", Ok(series)) => println!("{}", simulation::table(series)),
        _ => eprintln!("usage: simulate_statistics leaks|comparisons [SERIES]"),
    }
}
