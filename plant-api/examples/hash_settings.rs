//! Measures the settings of Argon2id that OWASP's Password Storage Cheat Sheet calls equivalent: hashes
//! per second on one and on all cores, each setting in turn, three rounds.
//!
//! `cargo run --release --example hash_settings`

use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Memory in KiB and passes over it.
const SETTINGS: [(u32, u32); 5] = [(47_104, 1), (19_456, 2), (12_288, 3), (9_216, 4), (7_168, 5)];

/// Duration of one measurement.
const DURATION: Duration = Duration::from_secs(2);

const ROUNDS: usize = 3;

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("| memory | passes | ms per hash | hashes/s, 1 thread | hashes/s, {cores} threads |");
    println!("|---|---|---|---|---|");
    let mut rates = [[0.0_f64; 2]; SETTINGS.len()];
    for _ in 0..ROUNDS {
        for (setting, best) in SETTINGS.into_iter().zip(&mut rates) {
            for (threads, best) in [1, cores].into_iter().zip(best) {
                *best = best.max(rate(setting, threads));
            }
        }
    }
    for ((memory, passes), [one, all]) in SETTINGS.into_iter().zip(rates) {
        println!("| {memory} KiB | {passes} | {:.1} | {one:.1} | {all:.1} |", 1000.0 / one);
    }
}

/// Returns the hashes per second of `threads` threads together.
fn rate((memory, passes): (u32, u32), threads: usize) -> f64 {
    let started = Instant::now();
    let counts: Vec<u32> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(move || hash_until(started + DURATION, memory, passes)))
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    f64::from(counts.iter().sum::<u32>()) / started.elapsed().as_secs_f64()
}

fn hash_until(end: Instant, memory: u32, passes: u32) -> u32 {
    let params = Params::new(memory, passes, 1, None).expect("valid settings");
    let mut blocks = vec![Block::default(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut output, mut count) = ([0; 32], 0);
    while Instant::now() < end {
        argon2
            .hash_password_into_with_memory(
                b"a password",
                b"sixteen bytes...",
                &mut output,
                &mut blocks,
            )
            .expect("valid settings");
        count += 1;
    }
    count
}
