//! The state that results from the amendments of an entity, compared with its stored fields.
//!
//! Both are canonical JSON, so that values are equal exactly if their bytes are.

use std::borrow::Cow;
use std::collections::HashSet;

use super::fields::{Fields, ParsedAmendment};
use crate::plant::chain::{Amendment, ChangeType, Head, Identity, LinkVerifier, Reason, Verdict};

/// Verifies an entity, one amendment at a time: the links of its chain, and that its stored fields
/// are the result of its amendments.
#[derive(Debug, Clone)]
pub struct EntityVerifier<'a> {
    links: LinkVerifier,
    expected: ExpectedState<'a>,
}

impl<'a> EntityVerifier<'a> {
    pub fn new(entity: Identity) -> Self {
        Self { links: LinkVerifier::new(entity), expected: ExpectedState::default() }
    }

    /// Verifies the next amendment, copying the values that it sets.
    pub fn update(&mut self, amendment: &Amendment<impl AsRef<[u8]>>) {
        self.links.update(amendment);
        // The state of a broken chain is never compared.
        if self.links.is_intact() {
            let to_owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
            self.expected.apply(amendment.sequence, amendment.content.as_ref(), to_owned);
        }
    }

    /// Verifies the next amendment, borrowing the values that it sets.
    pub fn update_borrowed(&mut self, amendment: &Amendment<&'a [u8]>) {
        self.links.update(amendment);
        if self.links.is_intact() {
            self.expected.apply(amendment.sequence, amendment.content, |text| text);
        }
    }

    /// Returns the head of the amendments read so far.
    pub fn head(&self) -> Head {
        self.links.head()
    }

    /// Returns the verdict on the whole entity; `stored` is its stored head. `fields`
    /// are its stored fields, `None` if they cannot be parsed as a JSON object.
    pub fn verdict(&self, stored: Head, fields: Option<&Fields<'_>>) -> Verdict {
        let verdict = self.links.verdict(stored);
        if verdict != Verdict::Intact {
            return verdict;
        }
        if let Some(at_index) = self.expected.unreadable {
            return Verdict::Broken { at_index, reason: Reason::Unreadable };
        }
        self.mismatch(fields).map_or(Verdict::Intact, |mismatch| Verdict::Broken {
            at_index: mismatch.at_index,
            reason: Reason::StateDiffers,
        })
    }

    /// Returns the first difference between the stored `fields` (see [`Self::verdict`]) and
    /// the result of the amendments. Meaningful only if the links are intact.
    pub fn mismatch(&self, fields: Option<&Fields<'_>>) -> Option<Mismatch> {
        self.expected.mismatch(fields)
    }
}

/// A field whose stored value is not the result of the amendments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Name of the field; empty when the fields or an amendment cannot be parsed.
    pub field: String,
    /// Index of the amendment that last set the field, or of the last amendment if none did.
    pub at_index: u64,
}

/// The state that results from the amendments read so far.
#[derive(Debug, Clone, Default)]
struct ExpectedState<'a> {
    fields: Vec<Field<'a>>,
    created_at: Cow<'a, str>,
    updated_at: Cow<'a, str>,
    last_sequence: u64,
    /// Sequence number of the first amendment that cannot be parsed.
    unreadable: Option<u64>,
}

#[derive(Debug, Clone)]
struct Field<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    set_by: u64,
}

impl<'a> ExpectedState<'a> {
    /// Applies amendment `sequence`; `convert` extends the lifetime of its texts.
    fn apply<'c>(
        &mut self,
        sequence: u64,
        content: &'c [u8],
        convert: impl Fn(Cow<'c, str>) -> Cow<'a, str>,
    ) {
        self.last_sequence = sequence;
        let Some(amendment) = ParsedAmendment::parse(content) else {
            self.unreadable.get_or_insert(sequence);
            return;
        };
        if sequence == 0 {
            self.created_at = convert(Cow::Borrowed(amendment.timestamp));
        }
        self.updated_at = convert(Cow::Borrowed(amendment.timestamp));
        let mut hint = 0;
        for (name, value) in amendment.data.0 {
            if sets_field(amendment.change_type, &name) {
                let value = convert(Cow::Borrowed(value));
                let position = self.position(&name, hint).unwrap_or(self.fields.len());
                match self.fields.get_mut(position) {
                    Some(field) => (field.value, field.set_by) = (value, sequence),
                    None => {
                        self.fields.push(Field { name: convert(name), value, set_by: sequence });
                    }
                }
                hint = position + 1;
            }
        }
    }

    /// Returns the position of the field `name`, trying `hint` first. Names are sorted, so that the
    /// field is mostly right after the previous one.
    fn position(&self, name: &str, hint: usize) -> Option<usize> {
        let matches = |field: &Field| field.name == name;
        let at_hint = self.fields.get(hint).is_some_and(matches).then_some(hint);
        at_hint.or_else(|| self.fields.iter().position(matches))
    }

    fn mismatch(&self, fields: Option<&Fields<'_>>) -> Option<Mismatch> {
        let mismatch = |field: &str, at_index| Mismatch { field: field.to_owned(), at_index };
        if let Some(at_index) = self.unreadable {
            return Some(mismatch("", at_index));
        }
        let Some(Fields(stored)) = fields else {
            return Some(mismatch("", self.last_sequence));
        };
        let (mut next, mut amended, mut of_base) = (0, 0, 0);
        for (name, value) in stored {
            let position = self.position(name, next);
            next = position.map_or(next, |position| position + 1);
            amended += usize::from(position.is_some());
            of_base +=
                usize::from(BASE_FIELDS.get(of_base).is_some_and(|(field, _)| field == name));
            let (expected, set_by) = self.expected(name, position);
            if expected != Some(value) {
                return Some(mismatch(name, set_by));
            }
        }
        // Each name is an expected one. If they are sorted, as in canonical JSON, none is repeated,
        // and their numbers are sufficient to detect a missing one.
        let is_sorted = stored.is_sorted_by(|(a, _), (b, _)| a < b);
        if is_sorted && amended == self.fields.len() && of_base == BASE_FIELDS.len() {
            return None;
        }
        let name = repeated(stored).or_else(|| self.missing(stored))?;
        let (_, set_by) = self.expected(name, self.position(name, 0));
        Some(mismatch(name, set_by))
    }

    /// Returns the name of the first expected field that is not in `stored`.
    fn missing(&self, stored: &[(Cow<'_, str>, &str)]) -> Option<&str> {
        let amended = self.fields.iter().map(|field| &*field.name);
        let of_base = BASE_FIELDS.iter().map(|(name, _)| *name);
        let is_missing = |name: &&str| !stored.iter().any(|(stored, _)| stored == name);
        amended.chain(of_base).find(is_missing)
    }

    /// Returns the expected value of a field, `None` if the entity must not have it, and the index
    /// of the amendment that determines it. `position` is the field's position in `self.fields`, if
    /// an amendment has set it.
    fn expected(&self, name: &str, position: Option<usize>) -> (Option<&str>, u64) {
        match (name, position) {
            ("created_at", _) => (Some(&self.created_at), 0),
            ("updated_at", _) => (Some(&self.updated_at), self.last_sequence),
            (_, Some(position)) => {
                (Some(&self.fields[position].value), self.fields[position].set_by)
            }
            (_, None) => (default_value(name), self.last_sequence),
        }
    }
}

/// Returns the first name that occurs more than once.
fn repeated<'f>(fields: &'f [(Cow<'_, str>, &str)]) -> Option<&'f str> {
    let mut seen = HashSet::with_capacity(fields.len());
    fields.iter().map(|(name, _)| &**name).find(|name| !seen.insert(*name))
}

/// Returns whether `name` in an amendment's data is a field of the entity. A certification also
/// carries notes and evidence, which are not.
fn sets_field(change_type: ChangeType, name: &str) -> bool {
    change_type != ChangeType::Certification || matches!(name, "certified_at" | "status")
}

/// The fields that entities of every kind have, sorted, with the JSON value of those that no amendment has
/// set. The two times are not set by an amendment's data.
const BASE_FIELDS: [(&str, &str); 11] = [
    ("certified_at", "null"),
    ("created_at", "null"),
    ("custom_attributes", "{}"),
    ("deleted_at", "null"),
    ("external_id", "null"),
    ("governance_agent_id", "\"genesis\""),
    ("governance_notes", "null"),
    ("parent_id", "null"),
    ("status", "null"),
    ("tags", "[]"),
    ("updated_at", "null"),
];

/// Returns the JSON value of a field that no amendment has set; `None` if not every kind of entity
/// has the field.
fn default_value(name: &str) -> Option<&'static str> {
    BASE_FIELDS.iter().find(|(field, _)| *field == name).map(|(_, value)| *value)
}
