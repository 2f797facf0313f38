//! Detects requests with both `Content-Length` and `Transfer-Encoding`. hyper drops the first of them,
//! so that the parsed request no longer shows the conflict.

use memchr::memchr;

const LENGTH: &[u8] = b"content-length:";
const CODING: &[u8] = b"transfer-encoding:";

/// Number of bytes of a line that decide what it is.
const MAX_START: usize = CODING.len();

/// The lines of what a client sends. A head has no blank line, so both headers between two blank
/// lines are those of one head. A body that contains such lines is no JSON.
#[derive(Debug, Default)]
pub struct HeadLines {
    /// Start of the line that has not ended.
    start: [u8; MAX_START],
    start_length: usize,
    has_length: bool,
    has_coding: bool,
    has_conflict: bool,
}

impl HeadLines {
    /// Reads the next bytes and returns whether a line has ended.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            if self.start_length == 0 {
                self.end_line(line);
            } else {
                self.append(line);
                let (start, length) = (self.start, self.start_length);
                self.end_line(&start[..length]);
                self.start_length = 0;
            }
            rest = &rest[end + 1..];
        }
        self.append(rest);
        rest.len() < bytes.len()
    }

    /// Returns whether a head with both headers was read.
    pub fn has_conflict(&self) -> bool {
        self.has_conflict
    }

    fn append(&mut self, line: &[u8]) {
        let length = line.len().min(MAX_START - self.start_length);
        self.start[self.start_length..][..length].copy_from_slice(&line[..length]);
        self.start_length += length;
    }

    fn end_line(&mut self, line: &[u8]) {
        match line.first() {
            None | Some(b'\r') => (self.has_length, self.has_coding) = (false, false),
            Some(b'c' | b'C') => self.has_length |= starts_with(line, LENGTH),
            Some(b't' | b'T') => self.has_coding |= starts_with(line, CODING),
            Some(_) => return,
        }
        self.has_conflict |= self.has_length && self.has_coding;
    }
}

fn starts_with(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_conflict(text: &str, read_size: usize) -> bool {
        let mut lines = HeadLines::default();
        for part in text.as_bytes().chunks(read_size) {
            assert_eq!(lines.read(part), part.contains(&b'\n'));
        }
        lines.has_conflict()
    }

    #[test]
    fn both_headers_of_one_head_are_a_conflict() {
        let first = "POST / HTTP/1.1\r\nContent-Length: 2\r\nhost: a\r\n\r\n{}";
        for (text, expected) in [
            ("POST / HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", true),
            ("POST / HTTP/1.1\r\nTRANSFER-ENCODING:chunked\r\nContent-Length:2\r\n\r\n", true),
            ("POST / HTTP/1.1\ntransfer-encoding: chunked\ncontent-length: 2\n\n", true),
            (&format!("{first}POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), false),
            (&format!("{first}POST / HTTP/1.1\r\nx-content-length: 2\r\n\r\n"), false),
            ("POST / HTTP/1.1\r\nte: trailers\r\ncontent-length-x: 2\r\n\r\n", false),
            (
                "POST / HTTP/1.1\r\nx: content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                false,
            ),
        ] {
            for read_size in 1..=text.len() {
                assert_eq!(has_conflict(text, read_size), expected, "{text:?} {read_size}");
            }
        }
    }
}
