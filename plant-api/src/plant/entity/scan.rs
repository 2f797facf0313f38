//! A parser for canonical JSON: one pass, without copying.
//!
//! It is the fast path for the lines of an export. It returns `None` for anything that canonical
//! JSON rarely or never contains, such as spaces or an escape in a name; the caller then falls back
//! to `serde_json`. It accepts nothing that `serde_json` rejects, and returns the same values;
//! tests compare the two.

use std::mem;

use crate::plant::chain::Digest32;

/// Maximum nesting of arrays and objects.
const MAX_DEPTH: u32 = 16;

/// Maximum length of a number; canonical ones are shorter.
const MAX_NUMBER_BYTES: usize = 32;

/// The rest of a text; each method parses and removes its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Creates a scanner, unless `text` contains control characters. JSON strings must not contain
    /// any, and canonical JSON has none between tokens, so that one check here replaces one per
    /// string.
    pub fn new(text: &'a [u8]) -> Option<Self> {
        let has_controls = text.iter().fold(false, |found, byte| found | (*byte < b' '));
        if has_controls {
            return None;
        }
        str::from_utf8(text).ok().map(|rest| Self { rest })
    }

    /// Parses exactly `expected`; on `None` the rest is unchanged.
    pub fn literal(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// Returns `Some` at the end of the text.
    pub fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// Parses the rest of a string without escapes, after its opening quote.
    pub fn plain_string(&mut self) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(self.find_special()?)?;
        self.rest = rest.strip_prefix('"')?;
        Some(text)
    }

    /// Parses the rest of a string, after its opening quote, in which only quotes and backslashes
    /// are escaped. Writes the unescaped text to the beginning of `buffer`, and sets `buffer` to
    /// its unused rest.
    pub fn escaped_string(&mut self, buffer: &mut &'a mut [u8]) -> Option<&'a [u8]> {
        let to = mem::take(buffer);
        let (read, written) = unescape(self.rest.as_bytes(), to)?;
        self.rest = self.rest.get(read..)?;
        let (text, unused) = to.split_at_mut(written);
        *buffer = unused;
        Some(text)
    }

    /// Parses 64 hexadecimal digits.
    pub fn digest(&mut self) -> Option<Digest32> {
        let (text, rest) = self.rest.split_at_checked(64)?;
        self.rest = rest;
        text.parse().ok()
    }

    /// Parses an unsigned integer.
    pub fn unsigned(&mut self) -> Option<u64> {
        self.integer_digits()?.parse().ok()
    }

    /// Parses a string and returns its text with the quotes, its escapes unchanged.
    pub fn string_text(&mut self) -> Option<&'a str> {
        let text = self.rest;
        self.string()?;
        text.get(..text.len() - self.rest.len())
    }

    /// Parses a value of any type and returns its text.
    pub fn value(&mut self) -> Option<&'a str> {
        let text = self.rest;
        self.skip(MAX_DEPTH)?;
        text.get(..text.len() - self.rest.len())
    }

    /// Parses an object; `visit` is called with each name and parses the value.
    pub fn members(
        &mut self,
        mut visit: impl FnMut(&'a str, &mut Self) -> Option<()>,
    ) -> Option<()> {
        self.literal("{")?;
        if self.literal("}").is_some() {
            return Some(());
        }
        loop {
            self.literal("\"")?;
            let name = self.plain_string()?;
            self.literal(":")?;
            visit(name, self)?;
            if self.literal(",").is_none() {
                return self.literal("}");
            }
        }
    }

    fn skip(&mut self, depth: u32) -> Option<()> {
        match self.rest.as_bytes().first()? {
            b'"' => self.string(),
            b'n' => self.literal("null"),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'{' => {
                let inner_depth = depth.checked_sub(1)?;
                self.members(|_, value| value.skip(inner_depth))
            }
            b'[' => self.elements(depth.checked_sub(1)?),
            _ => self.number(),
        }
    }

    fn elements(&mut self, depth: u32) -> Option<()> {
        self.literal("[")?;
        if self.literal("]").is_some() {
            return Some(());
        }
        loop {
            self.skip(depth)?;
            if self.literal(",").is_none() {
                return self.literal("]");
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        self.literal("\"")?;
        loop {
            let rest = self.rest.get(self.find_special()?..)?;
            if let Some(rest) = rest.strip_prefix('"') {
                self.rest = rest;
                return Some(());
            }
            let length = match rest.as_bytes().get(1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                // Canonical JSON escapes only control characters this way. Others may be halves of
                // a surrogate pair.
                b'u' if rest.get(2..4)? == "00"
                    && rest.get(4..6)?.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
                {
                    6
                }
                _ => return None,
            };
            self.rest = rest.get(length..)?;
        }
    }

    /// Parses a number that is certainly in the range of a double: of at most
    /// [`MAX_NUMBER_BYTES`], with an exponent of at most two digits.
    fn number(&mut self) -> Option<()> {
        let length_before = self.rest.len();
        let _ = self.literal("-");
        self.integer_digits()?;
        if self.literal(".").is_some() {
            self.digits()?;
        }
        if self.literal("e").or_else(|| self.literal("E")).is_some() {
            let _ = self.literal("+").or_else(|| self.literal("-"));
            self.digits().filter(|exponent| exponent.len() <= 2)?;
        }
        (length_before - self.rest.len() <= MAX_NUMBER_BYTES).then_some(())
    }

    fn integer_digits(&mut self) -> Option<&'a str> {
        self.digits().filter(|digits| digits.len() == 1 || !digits.starts_with('0'))
    }

    /// Parses one or more digits.
    fn digits(&mut self) -> Option<&'a str> {
        let end = self.rest.bytes().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        (!digits.is_empty()).then_some(digits)
    }

    /// Returns the offset of the next quote or backslash.
    fn find_special(&self) -> Option<usize> {
        // Most names and many values are short; searching 16 bytes here saves a call.
        let (first, rest) = self.rest.as_bytes().split_first_chunk()?;
        match before_special(first) {
            16 => memchr::memchr2(b'"', b'\\', rest).map(|offset| 16 + offset),
            offset => Some(offset),
        }
    }
}

/// Unescapes `from` up to the first quote that is not escaped, into `to`. Returns the number of
/// bytes read, including that quote, and of bytes written.
///
/// An amendment contains about forty escapes, a few bytes apart. Searching for one after the other
/// would take longer than hashing; therefore all escapes of a 64-byte block are found at once.
fn unescape(from: &[u8], to: &mut [u8]) -> Option<(usize, usize)> {
    // Bytes before `start` are done. After an escape, `start` is at the escaped byte.
    let (mut start, mut written, mut first_is_escaped) = (0, 0, false);
    for (index, block) in from.as_chunks::<64>().0.iter().enumerate() {
        let mut found = specials(block) & !u64::from(first_is_escaped);
        first_is_escaped = false;
        while found != 0 {
            let at = index * 64 + found.trailing_zeros() as usize;
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

/// Copies `length` bytes. Up to 16 bytes are copied as a fixed block of 16, which is fastest.
fn copy(from: &[u8], length: usize, to: &mut [u8]) -> Option<usize> {
    if length <= 16 {
        *to.first_chunk_mut::<16>()? = *from.first_chunk()?;
    } else {
        to.get_mut(..length)?.copy_from_slice(from.get(..length)?);
    }
    Some(length)
}

/// Returns a bit for each byte: whether it is a quote or a backslash.
fn specials(block: &[u8; 64]) -> u64 {
    const LOW_BITS: u64 = u64::from_le_bytes([0x7f; 8]);
    // Multiplying by this gathers the high bits of eight bytes in the highest byte.
    const GATHER: u64 = 0x0002_0408_1020_4081;
    block.as_chunks().0.iter().rev().fold(0, |bits, eight| {
        // The high bit of each byte is set unless the byte equals `byte`: after the xor, only a
        // zero byte has neither a high bit nor a low bit that carries into it.
        let other_than = |byte: u8| {
            let word = u64::from_le_bytes(*eight) ^ u64::from_le_bytes([byte; 8]);
            ((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS
        };
        let found = !(other_than(b'"') & other_than(b'\\'));
        bits << 8 | found.wrapping_mul(GATHER) >> 56
    })
}

/// Returns the number of bytes of `word` before its first quote or backslash, or 16. All bytes are
/// tested at once: subtracting one borrows only from a zero byte.
fn before_special(word: &[u8; 16]) -> usize {
    const ONES: u128 = u128::from_le_bytes([1; 16]);
    const HIGH_BITS: u128 = ONES << 7;
    let matches = |byte: u8| {
        let zero_at_match = u128::from_le_bytes(*word) ^ u128::from_le_bytes([byte; 16]);
        zero_at_match.wrapping_sub(ONES) & !zero_at_match & HIGH_BITS
    };
    (matches(b'"') | matches(b'\\')).trailing_zeros() as usize / 8
}
