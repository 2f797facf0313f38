//! Compares Criterion's results with the thresholds, prints a table and writes a JSON file.
//! `scripts/bench.sh` runs it as `bench_table CRITERION_FOLDER BENCHMARK_JSON`. Exit code 1: a
//! threshold was violated or there are no results.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Benchmark group, maximum mean in nanoseconds, and source of the threshold.
const THRESHOLDS: &[(&str, f64, &str)] = &[
    ("base_entity_creation", 5e6, "load tests guide"),
    ("skill_validation", 2e6, "load tests guide"),
    ("hash_chain_validation", 3e3, "own; load tests guide: 10 ms"),
    ("chain_of_5_from_bytes", 3e3, "own; load tests guide: 10 ms"),
    ("chain_of_5_from_values", 20e3, "own; load tests guide: 10 ms"),
    // 500,000 links a second.
    ("verify_10000_links", 20e6, "own"),
    ("verify_file_10000_links", 20e6, "own"),
    ("certification_through_the_database", 20e6, "own; load tests guide: 100 ms"),
    ("agent_health", 1e6, "own; performance agent plan: 50 ms"),
    ("agent_config", 1e6, "own; performance agent plan: 100 ms"),
    ("agent_capabilities", 1e6, "own; performance agent plan: 100 ms"),
    ("agent_workflows", 5e6, "own; performance agent plan: 200 ms"),
];

struct Row {
    name: String,
    iterations: f64,
    mean: f64,
    std_dev: f64,
    min: f64,
    max: f64,
    threshold: Option<(f64, &'static str)>,
    /// Mean of the group's benchmark `floor` (SHA-256 alone).
    floor: Option<f64>,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(criterion), Some(out)) = (args.next(), args.next()) else {
        eprintln!("usage: bench_table CRITERION_FOLDER BENCHMARK_JSON");
        return ExitCode::from(2);
    };
    let rows = rows(Path::new(&criterion));
    fs::write(&out, format!("{:#}\n", json!(rows.iter().map(Row::json).collect::<Vec<_>>())))
        .unwrap();
    print(&rows);
    let failed = rows.iter().any(|row| row.verdict() == Some(false));
    ExitCode::from(u8::from(failed || rows.is_empty()))
}

fn rows(criterion: &Path) -> Vec<Row> {
    let mut groups: Vec<_> = fs::read_dir(criterion)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // In the order of the thresholds; groups without one come last.
    groups.sort_by_key(|group| {
        let index = THRESHOLDS.iter().position(|(name, ..)| name == group);
        (index.unwrap_or(THRESHOLDS.len()), group.clone())
    });
    groups.into_iter().filter_map(|group| row(criterion, group)).collect()
}

fn row(criterion: &Path, name: String) -> Option<Row> {
    let read = |function: &str, file: &str| -> Option<Value> {
        let path = criterion.join(&name).join(function).join("new").join(file);
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    };
    let mean = |estimates: &Value| estimates["mean"]["point_estimate"].as_f64();
    let (estimates, sample) = (read("ours", "estimates.json")?, read("ours", "sample.json")?);
    let numbers =
        |list: &Value| -> Option<Vec<f64>> { list.as_array()?.iter().map(Value::as_f64).collect() };
    let (iterations, times) = (numbers(&sample["iters"])?, numbers(&sample["times"])?);
    let times_per_iteration = || times.iter().zip(&iterations).map(|(time, count)| time / count);
    let threshold = THRESHOLDS.iter().find(|(group, ..)| *group == name);
    Some(Row {
        iterations: iterations.iter().sum(),
        mean: mean(&estimates)?,
        std_dev: estimates["std_dev"]["point_estimate"].as_f64()?,
        min: times_per_iteration().fold(f64::INFINITY, f64::min),
        max: times_per_iteration().fold(0.0, f64::max),
        threshold: threshold.map(|(_, threshold, source)| (*threshold, *source)),
        floor: read("floor", "estimates.json").as_ref().and_then(mean),
        name,
    })
}

impl Row {
    fn verdict(&self) -> Option<bool> {
        self.threshold.map(|(threshold, _)| self.mean <= threshold)
    }

    fn verdict_text(&self) -> &'static str {
        match self.verdict() {
            Some(true) => "PASS",
            Some(false) => "FAIL",
            None => "-",
        }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.mean / floor)
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name, "rounds": self.iterations, "mean_ns": self.mean,
            "stddev_ns": self.std_dev, "min_ns": self.min, "max_ns": self.max,
            "target_ns": self.threshold.map(|(threshold, _)| threshold),
            "target_of": self.threshold.map(|(_, source)| source),
            "verdict": self.verdict_text(), "floor_ns": self.floor, "ratio_to_floor": self.ratio(),
        })
    }
}

fn print(rows: &[Row]) {
    println!(
        "{:<36} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}  {:<7} {:>9}",
        "name", "iterations", "mean", "std dev", "min", "max", "threshold", "verdict", "x SHA-256"
    );
    for row in rows {
        let threshold = row.threshold.map_or("-".to_owned(), |(threshold, _)| time(threshold));
        let ratio = row.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.1}"));
        println!(
            "{:<36} {:>10} {:>10} {:>10} {:>10} {:>10} {threshold:>10}  {:<7} {ratio:>9}",
            row.name,
            row.iterations,
            time(row.mean),
            time(row.std_dev),
            time(row.min),
            time(row.max),
            row.verdict_text(),
        );
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} µs", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}
