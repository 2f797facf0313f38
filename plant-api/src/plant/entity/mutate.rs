//! Texts with a few bytes changed, for tests that hold two readers against each other.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// What means something in JSON, and what must not be in it.
const BYTES: &[u8] = b"\"\"\"\\\\\\{}[],:0019-+.eEuntfb/ aA\n\x1f\x7f\xc3\xa9\xff";

/// One change at some place.
#[derive(Debug, Clone, Copy)]
enum Edit {
    Flip(u32),
    Replace(u8),
    Insert(u8),
    Remove(usize),
    /// Writes again what stands before.
    Repeat(usize),
}

/// Some of `texts`, with up to three changes.
pub fn mutated(texts: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = prop_oneof![
        (0..8u32).prop_map(Edit::Flip),
        select(BYTES).prop_map(Edit::Replace),
        select(BYTES).prop_map(Edit::Insert),
        (1..40usize).prop_map(Edit::Remove),
        (1..40usize).prop_map(Edit::Repeat),
    ];
    (select(texts), vec((any::<Index>(), edit), 0..4)).prop_map(|(mut text, edits)| {
        for (place, edit) in edits {
            apply(&mut text, place, edit);
        }
        text
    })
}

fn apply(text: &mut Vec<u8>, place: Index, edit: Edit) {
    if text.is_empty() {
        return;
    }
    let place = place.index(text.len());
    match edit {
        Edit::Flip(bit) => text[place] ^= 1 << bit,
        Edit::Replace(byte) => text[place] = byte,
        Edit::Insert(byte) => text.insert(place, byte),
        Edit::Remove(length) => drop(text.drain(place..text.len().min(place + length))),
        Edit::Repeat(length) => {
            let again = text[place.saturating_sub(length)..place].to_vec();
            text.splice(place..place, again);
        }
    }
}
