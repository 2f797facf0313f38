//! The names of the variables of a class: where they get their values, and where they are used.

use std::ops::Range;

use super::values::Slot;
use crate::{
    placeholder::{BUILT_IN, is_name},
    toml_source::Source,
};

/// Part of a class in which a variable is visible; the default is the whole class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Only in this task.
    pub(super) task: Option<usize>,
    /// Only in this step; steps are numbered throughout the class.
    pub(super) step: Option<usize>,
}

impl Scope {
    /// Returns whether everything in `other` is in this scope.
    fn contains(self, other: Self) -> bool {
        self.task.is_none_or(|task| other.task == Some(task))
            && self.step.is_none_or(|step| other.step == Some(step))
    }
}

/// All names of one class. Each has one slot, also if several tasks draw or extract it.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<String>,
    drawn: Vec<(Slot, Scope)>,
    extracted: Vec<Slot>,
    uses: Vec<(Slot, Scope, Range<usize>)>,
    literals: Vec<(String, Range<usize>)>,
}

impl Names {
    /// Declares a variable that is drawn: a variable or a feed column.
    pub(super) fn declare_drawn(
        &mut self,
        source: &mut Source<'_>,
        name: &str,
        scope: Scope,
        at: Range<usize>,
    ) -> Option<Slot> {
        let slot = self.declare(source, name, at.clone())?;
        // Two tasks may have variables of the same name: each draws its own before it uses it.
        let overlaps = |other: Scope| other.contains(scope) || scope.contains(other);
        if self.drawn.iter().any(|(other, visible)| *other == slot && overlaps(*visible)) {
            source.add_error(at, format!("`{name}` is already a variable or a feed column"));
        }
        self.drawn.push((slot, scope));
        Some(slot)
    }

    /// Declares a variable that is extracted from responses.
    pub(super) fn declare_extracted(
        &mut self,
        source: &mut Source<'_>,
        name: &str,
        at: Range<usize>,
    ) -> Option<Slot> {
        let slot = self.declare(source, name, at)?;
        if !self.extracted.contains(&slot) {
            self.extracted.push(slot);
        }
        Some(slot)
    }

    fn declare(&mut self, source: &mut Source<'_>, name: &str, at: Range<usize>) -> Option<Slot> {
        if BUILT_IN.contains(&name) {
            source.add_error(at, format!("`{name}` is a built-in value; choose another name"));
            return None;
        }
        if !is_name(name) {
            let message = "a variable has letters, digits and `_`, and no digit first";
            source.add_error(at, format!("`{name}` is not the name of a variable: {message}"));
            return None;
        }
        Some(self.slot(name))
    }

    /// Notes that the text at `at`, in `scope`, uses the variable `name`.
    pub(super) fn note_use(&mut self, name: &str, scope: Scope, at: Range<usize>) -> Slot {
        let slot = self.slot(name);
        self.uses.push((slot, scope, at));
        slot
    }

    /// Notes that a text in which placeholders are not replaced, at `at`, has one called `name`.
    pub(super) fn note_literal(&mut self, name: &str, at: Range<usize>) {
        self.literals.push((name.to_owned(), at));
    }

    /// Returns the number of variables.
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Returns the name of a variable.
    pub(super) fn name(&self, slot: Slot) -> &str {
        self.names.get(slot.0).map_or("", String::as_str)
    }

    /// Returns whether the variable is drawn when a user starts, so that it always has a value.
    pub(super) fn is_drawn_at_start(&self, slot: Slot) -> bool {
        self.drawn.contains(&(slot, Scope::default()))
    }

    /// Returns whether the variable is extracted from responses.
    pub(super) fn is_extracted(&self, slot: Slot) -> bool {
        self.extracted.contains(&slot)
    }

    /// Returns whether `name` is built in or has a value as soon as a user starts.
    pub(super) fn is_set_at_start(&self, name: &str) -> bool {
        let slot = self.names.iter().position(|known| known == name).map(Slot);
        BUILT_IN.contains(&name) || slot.is_some_and(|slot| self.is_drawn_at_start(slot))
    }

    /// Adds an error for every use of a variable that has no value there, and for every placeholder
    /// that is not replaced.
    pub(super) fn check_uses(&self, source: &mut Source<'_>) {
        let mut reported = Vec::new();
        for (slot, scope, at) in &self.uses {
            let mut drawn = self.drawn.iter().filter(|(drawn, _)| drawn == slot).peekable();
            let elsewhere = drawn.peek().is_some();
            if self.extracted.contains(slot) || drawn.any(|(_, drawn)| drawn.contains(*scope)) {
                continue;
            }
            // The headers of a class are used in every step.
            if reported.contains(&(slot, at)) {
                continue;
            }
            reported.push((slot, at));
            let name = self.name(*slot);
            let message = match elsewhere {
                true => format!("`{{{name}}}` is a variable of another task or step only"),
                false => format!(
                    "`{{{name}}}` is neither built in nor a variable, a feed column or extracted in \
                     this class; the text `{{{name}}}` is written `{{{{{name}}}}}`"
                ),
            };
            source.add_error(at.clone(), message);
        }
        for (name, at) in &self.literals {
            if BUILT_IN.contains(&name.as_str()) || self.names.contains(name) {
                let message = format!("`{{{name}}}` is not replaced here");
                source.add_error(at.clone(), message);
            }
        }
    }

    fn slot(&mut self, name: &str) -> Slot {
        let known = self.names.iter().position(|known| known == name);
        Slot(known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }))
    }
}
