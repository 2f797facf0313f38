//! `plant-api verify FILE`: checks an export without the service and its database.
//!
//! One thread reads and hashes the file; every core checks blocks of whole lines ([`blocks`],
//! [`crate::plant::audit::line`]). Memory is a few blocks, whatever the file's size, as long as no
//! single chain is larger than that. The first place that is not as it was written is told.

mod blocks;
mod order;
mod outcome;

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use memchr::memchr_iter;
use sha2::{Digest, Sha256};

use crate::plant::audit::line::{Checker, Manifest};
use crate::plant::chain::Digest32;
use blocks::{Block, Blocks, last_line};
use order::BlockOrder;

pub use outcome::{Figures, Outcome, Place, Trouble};

/// What is to be verified.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// What `GET /api/v1/audit/export` answered.
    pub file: PathBuf,
}

const BAR: &str = "{elapsed:>4} [{bar:40}] {binary_bytes} of {binary_total_bytes}, {eta} left";

/// Verifies a file, showing progress on a terminal.
pub fn file(path: &Path) -> Outcome {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, file)) => {
            let bar = ProgressBar::new(length);
            if let Ok(style) = ProgressStyle::with_template(BAR) {
                bar.set_style(style);
            }
            let outcome = read(file, |bytes| bar.inc(bytes));
            bar.finish_and_clear();
            outcome
        }
        Err(error) => Outcome::not_read(0, error.to_string()),
    }
}

/// Verifies what `source` gives; `advance` hears how many bytes were read.
pub fn read(source: impl Read, advance: impl Fn(u64)) -> Outcome {
    let began = Instant::now();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let findings = Findings::default();
    let (sender, receiver) = sync_channel(workers);
    let (done, used) = channel();
    let receiver = Mutex::new(receiver);
    let end = thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&receiver, &done, &findings));
        }
        feed(source, sender, &used, &findings, advance)
    });
    let blocks = findings.blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome::conclude(end, blocks, began.elapsed())
}

/// What the workers found so far.
#[derive(Default)]
struct Findings {
    blocks: Mutex<Vec<BlockOrder>>,
    /// Some block is at fault; those after it do not matter any more.
    at_fault: AtomicBool,
}

/// How the file ended.
struct End {
    /// Lines before the manifest.
    lines: u64,
    bytes: u64,
    /// What the manifest should have said, and what there was in its place.
    expected: Manifest,
    found: Vec<u8>,
    /// Why reading stopped, if not at the end.
    trouble: Option<String>,
}

/// Hands the lines before the manifest to the workers, in order, hashing them on the way.
fn feed(
    source: impl Read,
    sender: SyncSender<Block>,
    used: &Receiver<Block>,
    findings: &Findings,
    advance: impl Fn(u64),
) -> End {
    let mut hash = Sha256::new();
    let mut blocks = Blocks::of(source);
    let (mut lines, mut bytes, mut trouble, mut found) = (0, 0, None, Vec::new());
    let mut next = blocks.next();
    while let Some(block) = next {
        let mut block = match block {
            Ok(block) => block,
            Err(error) => {
                trouble = Some(error.to_string());
                break;
            }
        };
        if let Ok(block) = used.try_recv() {
            blocks.reuse(block.bytes);
        }
        next = blocks.next();
        bytes += block.len() as u64;
        advance(block.len() as u64);
        if next.is_none() {
            found = block.split_off(last_line(&block));
        }
        hash.update(&block);
        let first_line = lines + 1;
        lines += count_lines(&block);
        let useless = findings.at_fault.load(Ordering::Relaxed);
        if useless || sender.send(Block { first_line, bytes: block }).is_err() {
            break;
        }
    }
    // The workers end when no more blocks can come.
    drop(sender);
    let sha256 = Digest32(hash.finalize().into());
    End { lines, bytes, expected: Manifest { entities: lines, sha256 }, found, trouble }
}

fn count_lines(block: &[u8]) -> u64 {
    memchr_iter(b'\n', block).count() as u64
}

fn work(receiver: &Mutex<Receiver<Block>>, done: &Sender<Block>, findings: &Findings) {
    let mut checker = Checker::default();
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(block) = next else { return };
        let found = check(&block, &mut checker);
        if found.trouble.is_some() {
            findings.at_fault.store(true, Ordering::Relaxed);
        }
        findings.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(found);
        // Whoever reads may have read all by now.
        let _ = done.send(block);
    }
}

/// Checks whole lines up to the first that is at fault.
fn check(block: &Block, checker: &mut Checker) -> BlockOrder {
    let mut found = BlockOrder::at(block.first_line);
    for (number, line) in (block.first_line..).zip(block.lines()) {
        match checker.check(line) {
            Ok(checked) => found.take(number, checked),
            Err(fault) => found.trouble = Some((number, fault.into())),
        }
        if found.trouble.is_some() {
            break;
        }
    }
    found
}
