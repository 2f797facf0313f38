//! Flips one bit of every byte of an export, each bit in its turn, and counts what
//! `plant-api verify` says to each. `scripts/flip_every_byte.sh` builds and runs it.
//!
//! A flip touches one line only. That line is checked by what checks it in `verify`, and where
//! that finds nothing, and for the manifest and line ends, the whole file is verified; so it is
//! for every 10,007th flip besides, where both must agree on the line.

#[path = "../benches/plant/sample.rs"]
mod sample;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use plant_api::plant::audit::line::{Fault, check};
use plant_api::verify::{Outcome, read};

/// Of so many flips one is also shown to the whole of `verify`.
const ALSO_WHOLE: usize = 10_007;

type Counts = BTreeMap<&'static str, u64>;

fn main() -> ExitCode {
    let file = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path).unwrap(),
        None => sample::export(1_000),
    };
    let untouched = read(&file[..], |_| {});
    println!("untouched: {untouched}");
    let began = Instant::now();
    let counts = flip_all(&file);
    let flips: u64 = counts.values().sum();
    println!("{flips} flips of {} bytes in {:.0?}:", file.len(), began.elapsed());
    for (found, count) in &counts {
        println!("  {count:>10}  {found}");
    }
    let missed = counts.get("NOT FOUND").copied().unwrap_or_default();
    println!("{missed} not found");
    let passed = missed == 0 && matches!(untouched, Outcome::Intact(_));
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Deals the lines out to every core.
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
                let mut touched = file.to_vec();
                let mut counts = Counts::new();
                while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_manifest = line.end == file.len();
                    for flip in line.clone().map(|place| (place, (place % 8) as u32)) {
                        let found = found(&mut touched, line.clone(), flip, is_manifest);
                        *counts.entry(found).or_default() += 1;
                    }
                }
                let mut all = all.lock().unwrap();
                for (found, count) in counts {
                    *all.entry(found).or_default() += count;
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn found(
    file: &mut [u8],
    line: std::ops::Range<usize>,
    (place, bit): (usize, u32),
    is_manifest: bool,
) -> &'static str {
    let flip = 1 << bit;
    let before = file[place];
    file[place] ^= flip;
    let at_line_end = before == b'\n' || file[place] == b'\n';
    let by_line = (!is_manifest && !at_line_end)
        .then(|| check(&file[line.start..line.end - 1]).err())
        .flatten();
    let found = match by_line {
        Some(fault) => {
            if place.is_multiple_of(ALSO_WHOLE) {
                whole_agrees(file, line.start);
            }
            match fault {
                Fault::Unreadable(_) => "line unreadable",
                Fault::Broken { reason, .. } => reason.as_str(),
            }
        }
        None => match read(&*file, |_| {}) {
            Outcome::Intact(_) => "NOT FOUND",
            Outcome::Broken(_) => "manifest or order",
            Outcome::Unreadable(_) => "file unreadable",
        },
    };
    file[place] = before;
    found
}

fn whole_agrees(file: &[u8], line_start: usize) {
    let number = 1 + file[..line_start].iter().filter(|byte| **byte == b'\n').count() as u64;
    match read(file, |_| {}) {
        Outcome::Broken(place) | Outcome::Unreadable(place) => assert_eq!(place.line, number),
        Outcome::Intact(_) => panic!("line {number}: the line is at fault, the file is not"),
    }
}
