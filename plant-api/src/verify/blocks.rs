//! Reads a file in blocks of whole lines.

use std::io::{self, Read};
use std::{iter, mem};

use memchr::{memchr, memrchr};

/// Size of a block, unless one line is longer.
const BLOCK_BYTES: usize = 1 << 18;

/// Maximum length of a line, which contains the entity's whole chain.
const MAX_LINE_BYTES: usize = 1 << 30;

/// A block of whole lines with their line feeds.
#[derive(Debug)]
pub struct Block {
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// The lines.
    pub bytes: Vec<u8>,
}

impl Block {
    /// Returns the lines without their line feeds.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        iter::from_fn(move || {
            let next = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(next);
            rest = after;
            (!line.is_empty()).then(|| line.strip_suffix(b"\n").unwrap_or(line))
        })
    }
}

/// Returns the offset of the last line of `block`.
pub fn last_line(block: &[u8]) -> usize {
    let end = block.len().saturating_sub(1);
    memrchr(b'\n', &block[..end]).map_or(0, |line_feed| line_feed + 1)
}

/// An iterator over blocks of whole lines. Only the last block may lack its final line feed.
#[derive(Debug)]
pub struct Blocks<R> {
    source: R,
    /// The beginning of a line that continues in the next block.
    partial_line: Vec<u8>,
    /// Memory for the next block.
    spare: Vec<u8>,
    at_end: bool,
}

impl<R: Read> Blocks<R> {
    /// Creates an iterator over the blocks of `source`.
    pub fn new(source: R) -> Self {
        Self { source, partial_line: Vec::new(), spare: Vec::new(), at_end: false }
    }

    /// Takes back the memory of a block: allocating new memory takes as long as reading.
    pub fn reuse(&mut self, block: Vec<u8>) {
        self.spare = block;
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut block = mem::take(&mut self.spare);
        block.clear();
        block.append(&mut self.partial_line);
        loop {
            if block.len() > MAX_LINE_BYTES {
                return Err(io::Error::other("line longer than 1 GiB"));
            }
            let searched = block.len();
            block.reserve(BLOCK_BYTES);
            let read = (&mut self.source).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
            if read < BLOCK_BYTES {
                self.at_end = true;
                return Ok(block);
            }
            if let Some(end) = memrchr(b'\n', &block[searched..]) {
                self.partial_line.extend(block.drain(searched + end + 1..));
                return Ok(block);
            }
        }
    }
}

impl<R: Read> Iterator for Blocks<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at_end {
            return None;
        }
        match self.read() {
            Ok(block) if block.is_empty() => None,
            block => {
                self.at_end |= block.is_err();
                Some(block)
            }
        }
    }
}
