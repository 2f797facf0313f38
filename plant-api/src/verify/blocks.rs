//! A file in blocks of whole lines.

use std::io::{self, Read};
use std::{iter, mem};

use memchr::{memchr, memrchr};

/// Bytes of a block, unless one line is longer.
const SIZE: usize = 1 << 18;

/// Longest line that is read: the entity's whole chain is on it.
const LONGEST: usize = 1 << 30;

/// Whole lines, each with its end.
#[derive(Debug)]
pub struct Block {
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// The lines.
    pub bytes: Vec<u8>,
}

impl Block {
    /// The lines without their ends.
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

/// Where the last line of `block` begins.
pub fn last_line(block: &[u8]) -> usize {
    let before_its_end = block.len().saturating_sub(1);
    memrchr(b'\n', &block[..before_its_end]).map_or(0, |end| end + 1)
}

/// Reads blocks of whole lines; only the last one may end without a line end.
#[derive(Debug)]
pub struct Blocks<R> {
    source: R,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// Room for the next block.
    room: Vec<u8>,
    at_end: bool,
}

impl<R: Read> Blocks<R> {
    /// The blocks of `source`.
    pub fn of(source: R) -> Self {
        Self { source, begun: Vec::new(), room: Vec::new(), at_end: false }
    }

    /// Gives back a block that nobody needs any more: new memory costs as much as reading.
    pub fn reuse(&mut self, block: Vec<u8>) {
        self.room = block;
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut block = mem::take(&mut self.room);
        block.clear();
        block.append(&mut self.begun);
        loop {
            if block.len() > LONGEST {
                return Err(io::Error::other("a line is longer than 1 GiB"));
            }
            let searched = block.len();
            block.reserve(SIZE);
            let read = (&mut self.source).take(SIZE as u64).read_to_end(&mut block)?;
            if read < SIZE {
                self.at_end = true;
                return Ok(block);
            }
            if let Some(end) = memrchr(b'\n', &block[searched..]) {
                self.begun.extend(block.drain(searched + end + 1..));
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
