//! The values of the variables of one user.

use serde_json::Value;

/// Index of a variable in the [`Values`] of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) usize);

/// The values of the variables of one user. A variable that was not drawn or extracted yet has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    values: Vec<Option<Value>>,
    /// Number of the virtual user, from 1.
    pub(super) user: usize,
}

impl Values {
    /// Returns the values of the user with this number: none yet, of `variables` variables.
    pub(super) fn new(user: usize, variables: usize) -> Self {
        Self { values: vec![None; variables], user }
    }

    /// Returns the value of a variable.
    pub(super) fn get(&self, slot: Slot) -> Option<&Value> {
        self.values.get(slot.0)?.as_ref()
    }

    /// Sets the value of a variable; `None` removes it.
    pub(super) fn set(&mut self, slot: Slot, value: Option<Value>) {
        if let Some(place) = self.values.get_mut(slot.0) {
            *place = value;
        }
    }

    /// Returns the first of these variables that has no value.
    pub(super) fn first_missing(&self, slots: &[Slot]) -> Option<Slot> {
        slots.iter().copied().find(|slot| self.get(*slot).is_none())
    }
}
