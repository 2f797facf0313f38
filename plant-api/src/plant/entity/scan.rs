//! Reads JSON the way the canonical form writes it: from left to right, once, without copying.
//!
//! This is for the usual text, of which an export is full. It gives up (`None`) on whatever is
//! unusual, such as spaces or an escape in a name, and serde_json decides then. What it does read
//! it reads as serde_json does, and it passes nothing that serde_json would refuse; tests hold
//! the two against each other.

use std::mem;

use crate::plant::chain::Digest32;

/// Arrays and objects in each other that are still usual.
const DEPTH: u32 = 16;

/// What is still to be read of a text.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// A text of which nothing is read yet. Control characters have no place in JSON's strings,
    /// and the canonical form has none between them: looking once spares looking in each string.
    pub fn of(text: &'a [u8]) -> Option<Self> {
        let controls = text.iter().fold(false, |found, byte| found | (*byte < b' '));
        if controls {
            return None;
        }
        str::from_utf8(text).ok().map(|rest| Self { rest })
    }

    /// Exactly this.
    pub fn exactly(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// Nothing more.
    pub fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// A string without escapes, whose opening quote is read.
    pub fn plain(&mut self) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(self.next_special()?)?;
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    /// A string in which only quotes and backslashes are escaped, whose opening quote is read.
    /// What it says is written to the beginning of `space`, which is the rest of it afterwards.
    pub fn unescaped(&mut self, space: &mut &'a mut [u8]) -> Option<&'a [u8]> {
        let to = mem::take(space);
        let (read, written) = unescape(self.rest.as_bytes(), to)?;
        self.rest = self.rest.get(read..)?;
        let (text, left) = to.split_at_mut(written);
        *space = left;
        Some(text)
    }

    /// 64 hexadecimal digits.
    pub fn digest(&mut self) -> Option<Digest32> {
        let (text, rest) = self.rest.split_at_checked(64)?;
        self.rest = rest;
        text.parse().ok()
    }

    /// A natural number.
    pub fn natural(&mut self) -> Option<u64> {
        self.whole_number()?.parse().ok()
    }

    /// A value of any type, as it stands.
    pub fn value(&mut self) -> Option<&'a str> {
        let text = self.rest;
        self.skip(DEPTH)?;
        text.get(..text.len() - self.rest.len())
    }

    /// An object's members: `take` gets the name and reads the value.
    pub fn members(
        &mut self,
        mut take: impl FnMut(&'a str, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.exactly("{")?;
        if self.exactly("}").is_some() {
            return Some(());
        }
        loop {
            self.exactly("\"")?;
            let name = self.plain()?;
            self.exactly(":")?;
            take(name, self)?;
            if self.exactly(",").is_none() {
                return self.exactly("}");
            }
        }
    }

    fn skip(&mut self, depth: u32) -> Option<()> {
        match self.rest.as_bytes().first()? {
            b'"' => self.string(),
            b'n' => self.exactly("null"),
            b't' => self.exactly("true"),
            b'f' => self.exactly("false"),
            b'{' => {
                let inside = depth.checked_sub(1)?;
                self.members(|_, value| value.skip(inside))
            }
            b'[' => self.elements(depth.checked_sub(1)?),
            _ => self.number(),
        }
    }

    fn elements(&mut self, depth: u32) -> Option<()> {
        self.exactly("[")?;
        if self.exactly("]").is_some() {
            return Some(());
        }
        loop {
            self.skip(depth)?;
            if self.exactly(",").is_none() {
                return self.exactly("]");
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        self.exactly("\"")?;
        loop {
            let rest = self.rest.get(self.next_special()?..)?;
            if let Some(rest) = rest.strip_prefix('"') {
                self.rest = rest;
                return Some(());
            }
            let length = match rest.as_bytes().get(1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' if rest.get(2..6)?.bytes().all(|byte| byte.is_ascii_hexdigit()) => 6,
                _ => return None,
            };
            self.rest = rest.get(length..)?;
        }
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.exactly("-");
        self.whole_number()?;
        if self.exactly(".").is_some() {
            self.digits()?;
        }
        if self.exactly("e").or_else(|| self.exactly("E")).is_some() {
            let _ = self.exactly("+").or_else(|| self.exactly("-"));
            self.digits()?;
        }
        Some(())
    }

    fn whole_number(&mut self) -> Option<&'a str> {
        self.digits().filter(|digits| digits.len() == 1 || !digits.starts_with('0'))
    }

    /// One or more.
    fn digits(&mut self) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        (!digits.is_empty()).then_some(digits)
    }

    /// Where the next quote or backslash is.
    fn next_special(&self) -> Option<usize> {
        // Most names and many values are short: not worth a call.
        let (first, rest) = self.rest.as_bytes().split_first_chunk()?;
        match before_special(first) {
            16 => memchr::memchr2(b'"', b'\\', rest).map(|further| 16 + further),
            near => Some(near),
        }
    }
}

/// Reads `from` up to and with the first quote that is not escaped, and writes it to `to` without
/// that quote and the backslashes that escape. Returns how many bytes were read and written.
///
/// There are some forty escapes in an amendment, a few bytes apart, and looking for one after the
/// other takes longer than hashing does. So all of 64 bytes are found at once.
fn unescape(from: &[u8], to: &mut [u8]) -> Option<(usize, usize)> {
    // What is neither read nor written yet begins at `start`, with a byte that means itself.
    let (mut start, mut written, mut first_is_escaped) = (0, 0, false);
    for (number, block) in from.as_chunks::<64>().0.iter().enumerate() {
        let mut found = specials(block) & !u64::from(first_is_escaped);
        first_is_escaped = false;
        while found != 0 {
            let at = number * 64 + found.trailing_zeros() as usize;
            found &= found - 1;
            written += copy(from.get(start..)?, at - start, to.get_mut(written..)?)?;
            if from[at] == b'"' {
                return Some((at + 1, written));
            }
            if !matches!(from.get(at + 1)?, b'"' | b'\\') {
                return None;
            }
            start = at + 1;
            first_is_escaped = start.is_multiple_of(64);
            if !first_is_escaped {
                found &= found - 1;
            }
        }
    }
    None
}

/// Copies `length` bytes; it is quickest to copy sixteen, if they are no more.
fn copy(from: &[u8], length: usize, to: &mut [u8]) -> Option<usize> {
    if length <= 16 {
        *to.first_chunk_mut::<16>()? = *from.first_chunk()?;
    } else {
        to.get_mut(..length)?.copy_from_slice(from.get(..length)?);
    }
    Some(length)
}

/// A bit for each byte: whether it is a quote or a backslash.
fn specials(block: &[u8; 64]) -> u64 {
    const LOW_BITS: u64 = u64::from_le_bytes([0x7f; 8]);
    // Multiplied by this, the high bits of eight bytes come to stand side by side.
    const GATHER: u64 = 0x0002_0408_1020_4081;
    block.as_chunks().0.iter().rev().fold(0, |bits, eight| {
        // Zero is the only byte that has no bit left: none above the lowest seven, nor any that
        // carries from these into the eighth.
        let other_than = |byte: u8| {
            let word = u64::from_le_bytes(*eight) ^ u64::from_le_bytes([byte; 8]);
            ((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS
        };
        let found = !(other_than(b'"') & other_than(b'\\'));
        bits << 8 | found.wrapping_mul(GATHER) >> 56
    })
}

/// How many bytes of `word` come before its first quote or backslash. All are looked at together:
/// a byte of zero is the one from which subtracting one borrows.
fn before_special(word: &[u8; 16]) -> usize {
    const ONES: u128 = u128::from_le_bytes([1; 16]);
    const HIGH_BITS: u128 = ONES << 7;
    let is = |byte: u8| {
        let zero_where_it_is = u128::from_le_bytes(*word) ^ u128::from_le_bytes([byte; 16]);
        zero_where_it_is.wrapping_sub(ONES) & !zero_where_it_is & HIGH_BITS
    };
    (is(b'"') | is(b'\\')).trailing_zeros() as usize / 8
}
