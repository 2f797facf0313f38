//! Texts with a few changed bytes, for tests that compare two parsers.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Bytes with a meaning in JSON, and bytes that are invalid in it.
const BYTES: &[u8] = b"\"\"\"\\\\\\{}[],:0019-+.eEuntfb/ aA\n\x1f\x7f\xc3\xa9\xff";

/// One change of a text at a given position.
#[derive(Debug, Clone, Copy)]
enum Edit {
    Flip(u32),
    Replace(u8),
    Insert(u8),
    Remove(usize),
    /// Repeats the bytes before the position.
    Repeat(usize),
}

/// Generates one of `texts` with up to three changes.
pub fn mutated(texts: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = prop_oneof![
        (0..8u32).prop_map(Edit::Flip),
        select(BYTES).prop_map(Edit::Replace),
        select(BYTES).prop_map(Edit::Insert),
        (1..40usize).prop_map(Edit::Remove),
        (1..40usize).prop_map(Edit::Repeat),
    ];
    (select(texts), vec((any::<Index>(), edit), 0..4)).prop_map(|(mut text, edits)| {
        for (position, edit) in edits {
            apply(&mut text, position, edit);
        }
        text
    })
}

fn apply(text: &mut Vec<u8>, position: Index, edit: Edit) {
    if text.is_empty() {
        return;
    }
    let position = position.index(text.len());
    match edit {
        Edit::Flip(bit) => text[position] ^= 1 << bit,
        Edit::Replace(byte) => text[position] = byte,
        Edit::Insert(byte) => text.insert(position, byte),
        Edit::Remove(length) => drop(text.drain(position..text.len().min(position + length))),
        Edit::Repeat(length) => {
            let repeated = text[position.saturating_sub(length)..position].to_vec();
            text.splice(position..position, repeated);
        }
    }
}
