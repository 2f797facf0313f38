//! Canonical JSON (RFC 8785): each value has exactly one text, and so exactly one hash.
//!
//! `tests/canonical.rs` tests it against the published vectors and a second implementation.

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// Every integer up to this is exact as a double (RFC 8785, section 3.2.2.3).
const MAX_EXACT_INTEGER: u64 = 1 << 53;
/// Names whose bytes are all smaller sort the same in UTF-8 as in UTF-16. The orders differ only
/// from U+E000 on, because UTF-16 sorts surrogates before it.
const FIRST_REORDERED_BYTE: u8 = 0xEE;

/// Appends the canonical text of `value` to `out`.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_scalar(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => write_object(out, map),
    }
}

/// Appends an object, its members sorted by the UTF-16 code units of their names.
pub fn write_object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    let same_order = map.keys().all(|name| name.bytes().all(|byte| byte < FIRST_REORDERED_BYTE));
    if same_order && map.keys().is_sorted() {
        return write_members(out, map);
    }
    let mut sorted: Vec<_> = map.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    write_members(out, sorted);
}

fn write_members<'a>(
    out: &mut Vec<u8>,
    members: impl IntoIterator<Item = (&'a String, &'a Value)>,
) {
    out.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_scalar(out, name);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

/// Appends a string, a value that serde serializes as one, or an integer up to 2^53. For these
/// `serde_json` already writes the canonical text, including the escapes.
pub fn write_scalar(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Serializing these values into memory cannot fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a number in ECMAScript's notation.
fn write_number(out: &mut Vec<u8>, number: &Number) {
    let integer = number.as_i64().filter(|integer| integer.unsigned_abs() <= MAX_EXACT_INTEGER);
    match (integer, number.as_f64()) {
        (Some(_), _) => write_scalar(out, number),
        (None, Some(double)) => {
            out.extend(ryu_js::Buffer::new().format_finite(double).as_bytes());
        }
        // Unreachable: every `serde_json` number converts to a double.
        (None, None) => {}
    }
}
