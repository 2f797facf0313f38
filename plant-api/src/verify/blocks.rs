//! A file in blocks of whole lines.

use std::io::{self, Read};

/// Bytes of a block, unless one line is longer.
const SIZE: usize = 1 << 20;

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
        self.bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }
}

/// Where the last line of `block` begins.
pub fn last_line(block: &[u8]) -> usize {
    let before_its_end = block.len().saturating_sub(1);
    block[..before_its_end].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Reads blocks of whole lines; only the last one may end without a line end.
#[derive(Debug)]
pub struct Blocks<R> {
    source: R,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    at_end: bool,
}

impl<R: Read> Blocks<R> {
    /// The blocks of `source`.
    pub fn of(source: R) -> Self {
        Self { source, begun: Vec::new(), at_end: false }
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut block = std::mem::take(&mut self.begun);
        loop {
            if block.len() > LONGEST {
                return Err(io::Error::other("a line is longer than 1 GiB"));
            }
            let searched = block.len();
            let read = (&mut self.source).take(SIZE as u64).read_to_end(&mut block)?;
            if read < SIZE {
                self.at_end = true;
                return Ok(block);
            }
            if let Some(end) = block[searched..].iter().rposition(|byte| *byte == b'\n') {
                self.begun = block.split_off(searched + end + 1);
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
