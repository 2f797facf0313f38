//! Reads a file in order, in blocks of whole lines; a very long line in parts.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::{iter, mem};

use memchr::{memchr, memrchr};

/// Size of a block, unless one line is longer.
const BLOCK_BYTES: usize = 1 << 18;

/// Length from which a line is read in parts.
const MAX_LINE_BYTES: usize = 1 << 22;

/// Data that can be read at any offset.
pub trait ReadAt: Sync {
    /// Reads bytes from `offset` on into `buffer`; returns their number, zero at the end.
    ///
    /// # Errors
    /// Errors of the file, in particular if it is a pipe.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        self.get(offset..).unwrap_or_default().read(buffer)
    }
}

/// Lines of a file.
#[derive(Debug)]
pub enum Lines {
    /// Whole lines, of which only the last of the file may lack its line feed.
    Whole(Vec<u8>),
    /// The next part of a very long line.
    Part {
        bytes: Vec<u8>,
        /// Whether this is the last part, which ends with the line feed.
        is_last: bool,
    },
}

impl Lines {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) | Self::Part { bytes, .. } => bytes,
        }
    }
}

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

/// A very long line, which stays in the file.
#[derive(Debug)]
pub struct LongLine {
    /// Number of the line, from 1.
    pub number: u64,
    /// Offset of its first byte.
    pub start: u64,
    /// Offset of its line feed.
    pub end: u64,
}

impl LongLine {
    /// Returns the bytes of the line, without its line feed.
    pub fn read<'s, S: ReadAt + ?Sized>(&self, source: &'s S) -> impl Read + use<'s, S> {
        Section { source, position: self.start, end: self.end }
    }
}

struct Section<'s, S: ?Sized> {
    source: &'s S,
    position: u64,
    end: u64,
}

impl<S: ReadAt + ?Sized> Read for Section<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let length = buffer.len().min(rest);
        let read = self.source.read_at(&mut buffer[..length], self.position).map_err(|error| {
            let length = MAX_LINE_BYTES >> 20;
            io::Error::other(format!(
                "a line longer than {length} MiB can only be read from a regular file: {error}"
            ))
        })?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Returns the offset of the last line of `block`.
pub fn last_line(block: &[u8]) -> usize {
    let end = block.len().saturating_sub(1);
    memrchr(b'\n', &block[..end]).map_or(0, |line_feed| line_feed + 1)
}

/// An iterator over the lines of a file, in blocks.
#[derive(Debug)]
pub struct Blocks<R> {
    source: R,
    /// The beginning of a line that continues in the next block.
    partial_line: Vec<u8>,
    /// Memory for the next block.
    spare: Vec<u8>,
    in_long_line: bool,
    at_end: bool,
}

impl<R: Read> Blocks<R> {
    /// Creates an iterator over the blocks of `source`.
    pub fn new(source: R) -> Self {
        Self {
            source,
            partial_line: Vec::new(),
            spare: Vec::new(),
            in_long_line: false,
            at_end: false,
        }
    }

    /// Takes back the memory of a block: allocating new memory takes as long as reading.
    pub fn reuse(&mut self, block: Vec<u8>) {
        self.spare = block;
    }

    fn read(&mut self) -> io::Result<Lines> {
        let mut block = mem::take(&mut self.spare);
        block.clear();
        block.append(&mut self.partial_line);
        // After a long line, the partial line may contain whole lines too.
        let mut searched = 0;
        loop {
            block.reserve(BLOCK_BYTES);
            let read = (&mut self.source).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
            self.at_end = read < BLOCK_BYTES;
            if self.in_long_line {
                return Ok(self.part_of_line(block));
            }
            if self.at_end {
                return Ok(Lines::Whole(block));
            }
            if let Some(end) = memrchr(b'\n', &block[searched..]) {
                self.partial_line.extend(block.drain(searched + end + 1..));
                return Ok(Lines::Whole(block));
            }
            if block.len() > MAX_LINE_BYTES {
                self.in_long_line = true;
                return Ok(Lines::Part { bytes: block, is_last: false });
            }
            searched = block.len();
        }
    }

    /// Splits `block`, which continues a long line, after that line.
    fn part_of_line(&mut self, mut block: Vec<u8>) -> Lines {
        let end = memchr(b'\n', &block);
        if let Some(end) = end {
            self.in_long_line = false;
            self.partial_line.extend(block.drain(end + 1..));
            // What follows the line is not returned yet.
            self.at_end &= self.partial_line.is_empty();
        }
        Lines::Part { bytes: block, is_last: end.is_some() }
    }
}

impl<R: Read> Iterator for Blocks<R> {
    type Item = io::Result<Lines>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at_end {
            return None;
        }
        match self.read() {
            Ok(lines) if lines.bytes().is_empty() => None,
            lines => {
                self.at_end |= lines.is_err();
                Some(lines)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(file: &[u8]) -> Vec<Lines> {
        Blocks::new(file).collect::<io::Result<_>>().unwrap()
    }

    /// Returns a file with lines of these lengths, including their line feeds.
    fn file(lengths: &[usize]) -> Vec<u8> {
        let lines = lengths.iter().map(|length| [vec![b'x'; length - 1], vec![b'\n']].concat());
        lines.collect::<Vec<_>>().concat()
    }

    #[test]
    fn lines_are_read_whole_and_long_ones_in_parts() {
        let long = MAX_LINE_BYTES + 2 * BLOCK_BYTES;
        for lengths in [
            vec![10, 20],
            vec![MAX_LINE_BYTES, 10],
            vec![10, long, 10],
            vec![long],
            vec![long, long + 1, 7, long],
            vec![long, 10, 10, BLOCK_BYTES, 10],
            vec![long + 100, 10, 10, MAX_LINE_BYTES - 1, long],
            vec![long; 3],
            vec![long, BLOCK_BYTES],
        ] {
            let file = file(&lengths);
            let (mut all, mut in_long_line, mut long_lines) = (Vec::new(), false, 0);
            for lines in read_all(&file) {
                assert!(lines.bytes().len() <= MAX_LINE_BYTES + BLOCK_BYTES);
                assert!(!in_long_line || matches!(lines, Lines::Part { .. }));
                assert!(in_long_line || all.is_empty() || all.ends_with(b"\n"));
                all.extend(lines.bytes());
                match lines {
                    Lines::Whole(bytes) => assert!(bytes.ends_with(b"\n")),
                    Lines::Part { bytes, is_last } => {
                        assert_eq!(bytes.contains(&b'\n'), is_last);
                        in_long_line = !is_last;
                        long_lines += u64::from(is_last);
                    }
                }
            }
            assert_eq!(all, file);
            let expected = lengths.iter().filter(|length| **length >= long).count();
            assert_eq!(long_lines, expected as u64, "{lengths:?}");
        }
    }

    #[test]
    fn a_long_line_without_a_line_feed_has_no_last_part() {
        let mut file = file(&[10, MAX_LINE_BYTES + 2 * BLOCK_BYTES]);
        file.pop();
        let parts = read_all(&file);
        assert!(parts.iter().all(|part| !matches!(part, Lines::Part { is_last: true, .. })));
        assert!(matches!(parts.last(), Some(Lines::Part { .. })));
    }

    #[test]
    fn a_long_line_is_read_again_from_its_offsets() {
        let file = b"one\ntwo\nthree\n";
        let line = LongLine { number: 2, start: 4, end: 7 };
        let mut text = String::new();
        line.read(&file[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, "two");
    }
}
