//! What the amendments of an entity add up to, and whether its row says the same.
//!
//! Both sides are canonical JSON, so that values are equal when their bytes are.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::plant::chain::{Amendment, ChangeType, Head, Links, Reason, Verdict};

/// An entity's chain read from its start: its links, and what its amendments add up to.
#[derive(Debug, Clone)]
pub struct Reading {
    links: Links,
    state: State,
}

impl Reading {
    /// The chain of `entity`, of which nothing is read yet.
    pub fn of(entity: Uuid) -> Self {
        Self { links: Links::of(entity), state: State::default() }
    }

    /// Reads the next amendment.
    pub fn read(&mut self, amendment: &Amendment) {
        self.links.read(amendment);
        // What a broken chain says is of no consequence.
        if self.links.hold() {
            self.state.amend(amendment);
        }
    }

    /// Where the chain ends, as far as it is read.
    pub fn end(&self) -> Head {
        self.links.end()
    }

    /// What was found, now that all is read: against the `head` and the `row` of the entity.
    pub fn verdict(&self, head: Head, row: &[u8]) -> Verdict {
        match (self.links.verdict(head), self.departure(row)) {
            (Verdict::Intact, Some(departure)) => {
                Verdict::Broken { at_index: departure.at_index, reason: Reason::StateDiffers }
            }
            (verdict, _) => verdict,
        }
    }

    /// Where `row` (canonical JSON of the entity's fields) departs from the amendments, which it
    /// must not, if the links hold.
    pub fn departure(&self, row: &[u8]) -> Option<Departure> {
        self.state.departure(row)
    }
}

/// A field whose value no amendment explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Its name; empty when row or amendment cannot be read as an object.
    pub field: String,
    /// Index of the amendment that last set it; of the last amendment when none did.
    pub at_index: u64,
}

/// What the amendments read so far add up to.
#[derive(Debug, Clone, Default)]
struct State {
    fields: Vec<Field>,
    created_at: Vec<u8>,
    updated_at: Vec<u8>,
    last: u64,
    unreadable: Option<u64>,
}

#[derive(Debug, Clone)]
struct Field {
    name: String,
    value: Vec<u8>,
    set_by: u64,
}

impl State {
    fn amend(&mut self, amendment: &Amendment) {
        self.last = amendment.sequence;
        let Ok(change) = serde_json::from_slice::<Change>(&amendment.content) else {
            self.unreadable.get_or_insert(amendment.sequence);
            return;
        };
        let timestamp = change.timestamp.get().as_bytes();
        if amendment.sequence == 0 {
            self.created_at = timestamp.to_owned();
        }
        timestamp.clone_into(&mut self.updated_at);
        for (name, value) in change.data.0 {
            if is_state(change.change_type, &name) {
                self.set(&name, value.get().as_bytes(), amendment.sequence);
            }
        }
    }

    fn set(&mut self, name: &str, value: &[u8], set_by: u64) {
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) => {
                value.clone_into(&mut field.value);
                field.set_by = set_by;
            }
            None => {
                self.fields.push(Field { name: name.to_owned(), value: value.to_owned(), set_by });
            }
        }
    }

    fn departure(&self, row: &[u8]) -> Option<Departure> {
        let departure = |field: &str, at_index| Departure { field: field.to_owned(), at_index };
        if let Some(at_index) = self.unreadable {
            return Some(departure("", at_index));
        }
        let Ok(Fields(row)) = serde_json::from_slice::<Fields>(row) else {
            return Some(departure("", self.last));
        };
        for (name, value) in &row {
            let (expected, set_by) = self.expected(name);
            if value.get().as_bytes() != expected {
                return Some(departure(name, set_by));
            }
        }
        let lost = |field: &&Field| !row.iter().any(|(name, _)| *name == field.name);
        self.fields.iter().find(lost).map(|field| departure(&field.name, field.set_by))
    }

    /// What the row must say, and the amendment that says so.
    fn expected(&self, name: &str) -> (&[u8], u64) {
        match name {
            "created_at" => return (&self.created_at, 0),
            "updated_at" => return (&self.updated_at, self.last),
            _ => {}
        }
        match self.fields.iter().find(|field| field.name == name) {
            Some(field) => (&field.value, field.set_by),
            None => (unless_amended(name), self.last),
        }
    }
}

/// Whether an amendment that names this field sets it. A certification also carries what its
/// giver said, which is no part of the entity.
fn is_state(change_type: ChangeType, name: &str) -> bool {
    change_type != ChangeType::Certification || matches!(name, "certified_at" | "status")
}

/// The value of a field that no amendment has set.
fn unless_amended(name: &str) -> &'static [u8] {
    match name {
        "tags" => b"[]",
        "custom_attributes" => b"{}",
        "governance_agent_id" => b"\"genesis\"",
        _ => b"null",
    }
}

#[derive(Deserialize)]
struct Change<'a> {
    change_type: ChangeType,
    #[serde(borrow)]
    data: Fields<'a>,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

/// An object's members with their bytes as they stand.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(Fields)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::with_capacity(16);
        while let Some(Name(name)) = members.next_key()? {
            found.push((name, members.next_value()?));
        }
        Ok(found)
    }
}

/// Borrows a key where it has no escapes, as keys seldom have.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
