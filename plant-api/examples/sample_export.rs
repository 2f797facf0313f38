//! Writes a sample audit export in the service's format, to benchmark `plant-api verify`:
//! `cargo run --example sample_export -- AGENTS [CHANGES] > export.jsonl`. `CHANGES` is the number
//! of changes per agent; without it each agent has up to two.

#[path = "../benches/plant/sample.rs"]
mod sample;

use std::io::Write;

fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap());
    let agents = numbers.next().unwrap_or(1_000);
    let file = match numbers.next() {
        Some(changes) => {
            let line = |n| sample::export_line(&sample::agent(n, changes));
            sample::with_manifest((0..agents).flat_map(line).collect())
        }
        None => sample::export(agents),
    };
    std::io::stdout().write_all(&file)
}
