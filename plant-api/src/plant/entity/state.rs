//! What the amendments of an entity add up to, and whether its row says the same.
//!
//! Both sides are canonical JSON, so that values are equal when their bytes are.

use std::borrow::Cow;

use uuid::Uuid;

use super::fields::{Fields, Said};
use crate::plant::chain::{Amendment, ChangeType, Head, Links, Reason, Verdict};

/// An entity's chain read from its start: its links, and what its amendments add up to.
#[derive(Debug, Clone)]
pub struct Reading<'a> {
    links: Links,
    state: State<'a>,
}

impl<'a> Reading<'a> {
    /// The chain of `entity`, of which nothing is read yet.
    pub fn of(entity: Uuid) -> Self {
        Self { links: Links::of(entity), state: State::default() }
    }

    /// Reads the next amendment, which may then go: what still counts of it is copied.
    pub fn read(&mut self, amendment: &Amendment) {
        self.links.read(amendment);
        // What a broken chain says is of no consequence.
        if self.links.hold() {
            let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
            self.state.amend(amendment.sequence, &amendment.content, own);
        }
    }

    /// Reads the next amendment, which stays for as long as this.
    pub fn read_in_place(&mut self, amendment: &Amendment<&'a [u8]>) {
        self.links.read(amendment);
        if self.links.hold() {
            self.state.amend(amendment.sequence, amendment.content, |text| text);
        }
    }

    /// Where the chain ends, as far as it is read.
    pub fn end(&self) -> Head {
        self.links.end()
    }

    /// What was found, now that all is read: against the `head` and the `row` of the entity.
    pub fn verdict(&self, head: Head, row: Option<&Fields<'_>>) -> Verdict {
        match self.links.verdict(head) {
            Verdict::Intact => self.departure(row).map_or(Verdict::Intact, |departure| {
                Verdict::Broken { at_index: departure.at_index, reason: Reason::StateDiffers }
            }),
            broken => broken,
        }
    }

    /// Where `row` (the entity's fields, if they can be read as an object) departs from the
    /// amendments, which it must not, if the links hold.
    pub fn departure(&self, row: Option<&Fields<'_>>) -> Option<Departure> {
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
struct State<'a> {
    fields: Vec<Field<'a>>,
    created_at: Cow<'a, str>,
    updated_at: Cow<'a, str>,
    last: u64,
    unreadable: Option<u64>,
}

#[derive(Debug, Clone)]
struct Field<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    set_by: u64,
}

impl<'a> State<'a> {
    /// Takes what amendment `sequence` says; `keep` makes that last.
    fn amend<'c>(
        &mut self,
        sequence: u64,
        content: &'c [u8],
        keep: impl Fn(Cow<'c, str>) -> Cow<'a, str>,
    ) {
        self.last = sequence;
        let Some(said) = Said::read(content) else {
            self.unreadable.get_or_insert(sequence);
            return;
        };
        if sequence == 0 {
            self.created_at = keep(Cow::Borrowed(said.timestamp));
        }
        self.updated_at = keep(Cow::Borrowed(said.timestamp));
        let mut guess = 0;
        for (name, value) in said.data.0 {
            if is_state(said.change_type, &name) {
                let value = keep(Cow::Borrowed(value));
                let place = self.place(&name, guess).unwrap_or(self.fields.len());
                match self.fields.get_mut(place) {
                    Some(field) => (field.value, field.set_by) = (value, sequence),
                    None => self.fields.push(Field { name: keep(name), value, set_by: sequence }),
                }
                guess = place + 1;
            }
        }
    }

    /// Where the field `name` is. Both sides are sorted, so that it mostly is where its reader
    /// guesses: after the one before.
    fn place(&self, name: &str, guess: usize) -> Option<usize> {
        let is_it = |field: &Field| field.name == name;
        let guessed = self.fields.get(guess).is_some_and(is_it).then_some(guess);
        guessed.or_else(|| self.fields.iter().position(is_it))
    }

    fn departure(&self, row: Option<&Fields<'_>>) -> Option<Departure> {
        let departure = |field: &str, at_index| Departure { field: field.to_owned(), at_index };
        if let Some(at_index) = self.unreadable {
            return Some(departure("", at_index));
        }
        let Some(Fields(row)) = row else {
            return Some(departure("", self.last));
        };
        // Fields before this one are in the row.
        let mut met = 0;
        for (name, value) in row {
            let place = self.place(name, met);
            met += usize::from(place == Some(met));
            let (expected, set_by) = self.expected(name, place);
            if *value != expected {
                return Some(departure(name, set_by));
            }
        }
        if met == self.fields.len() {
            return None;
        }
        let lost = |field: &&Field| !row.iter().any(|(name, _)| *name == field.name);
        self.fields.iter().find(lost).map(|field| departure(&field.name, field.set_by))
    }

    /// What the row must say, and the amendment that says so; `place` is that of the field, if
    /// any amendment has set it.
    fn expected(&self, name: &str, place: Option<usize>) -> (&str, u64) {
        match (name, place) {
            ("created_at", _) => (&self.created_at, 0),
            ("updated_at", _) => (&self.updated_at, self.last),
            (_, Some(place)) => (&self.fields[place].value, self.fields[place].set_by),
            (_, None) => (unless_amended(name), self.last),
        }
    }
}

/// Whether an amendment that names this field sets it. A certification also carries what its
/// giver said, which is no part of the entity.
fn is_state(change_type: ChangeType, name: &str) -> bool {
    change_type != ChangeType::Certification || matches!(name, "certified_at" | "status")
}

/// The value of a field that no amendment has set.
fn unless_amended(name: &str) -> &'static str {
    match name {
        "tags" => "[]",
        "custom_attributes" => "{}",
        "governance_agent_id" => "\"genesis\"",
        _ => "null",
    }
}
