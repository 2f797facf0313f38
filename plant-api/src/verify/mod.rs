//! `plant-api verify FILE`: verifies an export without the service and its database.
//!
//! One thread reads and hashes the file; one thread per core verifies blocks of whole lines
//! (`blocks`, [`crate::plant::audit::line`]). A line longer than 4 MiB is not kept in memory, but
//! read again by the thread that verifies it. The first defect in the file is reported.

mod blocks;
mod line_defect;
mod order;
mod outcome;

use std::fs::File;
use std::io::{BufReader, Read};
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

use crate::plant::audit::line::{
    LineError, LineVerifier, Manifest, VerifiedLine, verify_long_line,
};
use crate::plant::chain::Digest32;
use blocks::{Block, Blocks, Lines, LongLine, last_line};
use order::BlockResult;

pub use blocks::ReadAt;
pub use outcome::{Defect, Outcome, Totals};

/// Arguments of `plant-api verify`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Export to verify: the response body of `GET /api/v1/audit/export`.
    pub file: PathBuf,
}

const PROGRESS_TEMPLATE: &str =
    "{elapsed:>4} [{bar:40}] {binary_bytes} of {binary_total_bytes}, {eta} left";

/// Verifies a file, with a progress bar on a terminal.
pub fn verify_file(path: &Path) -> Outcome {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, file)) => {
            let bar = ProgressBar::new(length);
            if let Ok(style) = ProgressStyle::with_template(PROGRESS_TEMPLATE) {
                bar.set_style(style);
            }
            let outcome = verify_reader(&file, |bytes| bar.inc(bytes));
            bar.finish_and_clear();
            outcome
        }
        Err(error) => Outcome::unreadable(0, error.to_string()),
    }
}

/// Size of the buffer for a long line.
const LONG_LINE_BUFFER: usize = 1 << 18;

/// Verifies the export in `source`; `on_progress` is called with the number of bytes of each block.
pub fn verify_reader<S: ReadAt + ?Sized>(source: &S, on_progress: impl Fn(u64)) -> Outcome
where
    for<'s> &'s S: Read,
{
    let start = Instant::now();
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let results = Results::default();
    let (sender, receiver) = sync_channel(workers);
    let (used_sender, used) = channel();
    let receiver = Mutex::new(receiver);
    let read = thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| verify_tasks(source, &receiver, &used_sender, &results));
        }
        read_blocks(source, sender, &used, &results, on_progress)
    });
    let blocks = results.blocks.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome::conclude(read, blocks, start.elapsed())
}

/// What a verifying thread does next.
enum Task {
    Block(Block),
    LongLine(LongLine),
}

/// Results of the verifying threads.
#[derive(Default)]
struct Results {
    blocks: Mutex<Vec<BlockResult>>,
    /// Whether any block has a defect. Reading stops then, since only the first defect is reported.
    has_defect: AtomicBool,
}

/// Result of reading the file.
struct ReadResult {
    /// Number of lines before the manifest.
    lines: u64,
    bytes: u64,
    /// The manifest that matches the lines.
    expected: Manifest,
    /// The last line of the file, which must be the manifest.
    manifest_line: Vec<u8>,
    /// The error that ended reading before the end of the file.
    error: Option<String>,
}

/// Reads and hashes the lines before the manifest, and sends them to the verifying threads.
fn read_blocks(
    source: impl Read,
    sender: SyncSender<Task>,
    used: &Receiver<Block>,
    results: &Results,
    on_progress: impl Fn(u64),
) -> ReadResult {
    let mut hash = Sha256::new();
    let mut blocks = Blocks::new(source);
    let (mut lines, mut bytes, mut error, mut manifest_line) = (0, 0, None, Vec::new());
    let mut long_line_start = None;
    let mut next = blocks.next();
    while let Some(read) = next {
        let mut read = match read {
            Ok(read) => read,
            Err(source) => {
                error = Some(source.to_string());
                break;
            }
        };
        if let Ok(block) = used.try_recv() {
            blocks.reuse(block.bytes);
        }
        next = blocks.next();
        let start = bytes;
        bytes += read.bytes().len() as u64;
        on_progress(read.bytes().len() as u64);
        if let (Lines::Whole(block), None) = (&mut read, &next) {
            manifest_line = block.split_off(last_line(block));
        }
        hash.update(read.bytes());
        let task = match read {
            Lines::Whole(block) => {
                let first_line = lines + 1;
                lines += count_lines(&block);
                Task::Block(Block { first_line, bytes: block })
            }
            Lines::Part { is_last: false, .. } => {
                long_line_start.get_or_insert(start);
                continue;
            }
            Lines::Part { is_last: true, .. } => {
                lines += 1;
                let start = long_line_start.take().unwrap_or(start);
                Task::LongLine(LongLine { number: lines, start, end: bytes - 1 })
            }
        };
        let has_defect = results.has_defect.load(Ordering::Relaxed);
        if has_defect || sender.send(task).is_err() {
            break;
        }
    }
    // Closing the channel ends the verifying threads.
    drop(sender);
    let sha256 = Digest32(hash.finalize().into());
    let expected = Manifest { entities: lines, sha256 };
    ReadResult { lines, bytes, expected, manifest_line, error }
}

fn count_lines(block: &[u8]) -> u64 {
    memchr_iter(b'\n', block).count() as u64
}

/// Verifies lines until the channel is closed, and returns the memory of blocks through
/// `used_sender`.
fn verify_tasks(
    source: &(impl ReadAt + ?Sized),
    receiver: &Mutex<Receiver<Task>>,
    used_sender: &Sender<Block>,
    results: &Results,
) {
    let mut verifier = LineVerifier::default();
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        let result = match &task {
            Task::Block(block) => {
                let lines = block.lines().map(|line| verifier.verify(line));
                verify_lines(block.first_line, lines)
            }
            Task::LongLine(line) => {
                let open = || BufReader::with_capacity(LONG_LINE_BUFFER, line.read(source));
                verify_lines(line.number, [verify_long_line(open)])
            }
        };
        if result.defect.is_some() {
            results.has_defect.store(true, Ordering::Relaxed);
        }
        results.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        if let Task::Block(block) = task {
            // Fails if the reader has finished; then it needs no more memory.
            let _ = used_sender.send(block);
        }
    }
}

/// Collects the results of consecutive lines up to the first defect.
fn verify_lines(
    first_line: u64,
    lines: impl IntoIterator<Item = Result<VerifiedLine, LineError>>,
) -> BlockResult {
    let mut result = BlockResult::new(first_line);
    for (number, line) in (first_line..).zip(lines) {
        match line {
            Ok(verified) => result.add(number, verified),
            Err(error) => result.defect = Some((number, error.into())),
        }
        if result.defect.is_some() {
            break;
        }
    }
    result
}
