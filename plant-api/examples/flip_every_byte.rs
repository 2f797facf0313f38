//! Flips one bit in every byte of an audit export, one at a time, and counts the errors that
//! `plant-api verify` reports. `scripts/flip_every_byte.sh` builds and runs it.
//!
//! A flip changes one line, so only that line is checked, with the function that `verify` uses. The
//! whole file is verified if the line check finds nothing, and for flips in the manifest and in
//! line ends. For every 10,007th byte the whole file is verified as well, and both checks must
//! report the same line.

#[path = "../benches/plant/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use plant_api::plant::audit::line::{LineError, verify_line};
use plant_api::verify::{Outcome, verify_reader};

/// Flips at multiples of this offset are also verified with the whole file.
const WHOLE_FILE_INTERVAL: usize = 10_007;

type Counts = BTreeMap<&'static str, u64>;

fn main() -> ExitCode {
    let file = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path).unwrap(),
        None => sample::export(1_000),
    };
    let unchanged = verify_reader(&file[..], |_| {});
    println!("unchanged file: {unchanged}");
    let started_at = Instant::now();
    let counts = flip_all(&file);
    let flips: u64 = counts.values().sum();
    println!("{flips} flips of {} bytes in {:.0?}:", file.len(), started_at.elapsed());
    for (error, count) in &counts {
        println!("  {count:>10}  {error}");
    }
    let missed = counts.get("NOT DETECTED").copied().unwrap_or_default();
    println!("{missed} not detected");
    let passed = missed == 0 && matches!(unchanged, Outcome::Intact(_));
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Flips a bit in every byte, with one thread per core. Returns counts by detected error.
fn flip_all(file: &[u8]) -> Counts {
    let mut start = 0;
    let lines: Vec<_> = file
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            start += line.len();
            start - line.len()..start
        })
        .collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Counts::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                let mut file = file.to_vec();
                let mut counts = Counts::new();
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_manifest = line.end == file.len();
                    for flip in line.clone().map(|offset| (offset, (offset % 8) as u32)) {
                        let error = detect_flip(&mut file, line.clone(), flip, is_manifest);
                        *counts.entry(error).or_default() += 1;
                    }
                }
                let mut all = all.lock().unwrap();
                for (error, count) in counts {
                    *all.entry(error).or_default() += count;
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// Flips one bit, verifies, and restores it. Returns the error that was detected.
fn detect_flip(
    file: &mut [u8],
    line: std::ops::Range<usize>,
    (offset, bit): (usize, u32),
    is_manifest: bool,
) -> &'static str {
    let flip = 1 << bit;
    let original = file[offset];
    file[offset] ^= flip;
    let at_line_end = original == b'\n' || file[offset] == b'\n';
    let line_error = (!is_manifest && !at_line_end)
        .then(|| verify_line(&file[line.start..line.end - 1]).err())
        .flatten();
    let error = match line_error {
        Some(line_error) => {
            if offset.is_multiple_of(WHOLE_FILE_INTERVAL) {
                assert_same_line(file, line.start);
            }
            match line_error {
                LineError::Malformed(_) => "line unreadable",
                LineError::Broken { reason, .. } => reason.as_str(),
            }
        }
        None => match verify_reader(file, |_| {}) {
            Outcome::Intact(_) => "NOT DETECTED",
            Outcome::Broken(_) => "manifest or order",
            Outcome::Unreadable(_) => "file unreadable",
        },
    };
    file[offset] = original;
    error
}

fn assert_same_line(file: &[u8], line_start: usize) {
    let number = 1 + file[..line_start].iter().filter(|byte| **byte == b'\n').count() as u64;
    match verify_reader(file, |_| {}) {
        Outcome::Broken(error) | Outcome::Unreadable(error) => assert_eq!(error.line, number),
        Outcome::Intact(_) => {
            panic!("line {number}: the line check reports an error, the file check does not")
        }
    }
}
