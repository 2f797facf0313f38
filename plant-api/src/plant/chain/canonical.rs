//! Canonical JSON (RFC 8785): the one text of a value, so that it has one hash.
//!
//! `tests/canonical.rs` holds it against the published vectors and against another's
//! implementation.

use serde::Serialize;
use serde_json::{Map, Number, Value};

/// Up to here every whole number is a number of its own (section 3.2.2.3).
const EXACT: u64 = 1 << 53;
/// Below this no byte of UTF-8 belongs to a character that UTF-16 sorts elsewhere: those are of
/// U+E000 and above, where surrogates come first.
const SORTED_ALIKE: u8 = 0xEE;

/// Appends the canonical text of `value`.
pub fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => self::number(out, number),
        Value::String(text) => scalar(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => object(out, map),
    }
}

/// Appends an object, its members in the order of their names' UTF-16 code units.
pub fn object(out: &mut Vec<u8>, map: &Map<String, Value>) {
    let alike = map.keys().all(|name| name.bytes().all(|byte| byte < SORTED_ALIKE));
    if alike && map.keys().is_sorted() {
        return members(out, map);
    }
    let mut sorted: Vec<_> = map.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    members(out, sorted);
}

fn members<'a>(out: &mut Vec<u8>, members: impl IntoIterator<Item = (&'a String, &'a Value)>) {
    out.push(b'{');
    for (place, (name, value)) in members.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        scalar(out, name);
        out.push(b':');
        write(out, value);
    }
    out.push(b'}');
}

/// Appends a string, or what serde writes as one, or a whole number up to 2^53: there serde_json's
/// text, its escapes included, is the canonical one.
pub fn scalar(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Neither writing into memory nor such a value can fail.
    let _ = serde_json::to_writer(out, value);
}

/// Appends a number as ECMAScript prints it.
fn number(out: &mut Vec<u8>, number: &Number) {
    let whole = number.as_i64().filter(|whole| whole.unsigned_abs() <= EXACT);
    match (whole, number.as_f64()) {
        (Some(_), _) => scalar(out, number),
        (None, Some(double)) => {
            out.extend(ryu_js::Buffer::new().format_finite(double).as_bytes());
        }
        // Every number of serde_json is also a double.
        (None, None) => {}
    }
}
