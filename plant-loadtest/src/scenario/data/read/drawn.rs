//! Reads `variables` and `feed`.

use std::sync::atomic::AtomicUsize;

use toml::{Spanned, de::DeValue};

use super::Reader;
use crate::{
    placeholder::{Piece, pieces},
    scenario::data::{
        class::Draws,
        feed::{self, Feed, Order},
        names::Scope,
        variable::{Choice, Drawn, Variable},
    },
    toml_source::{self, Table},
};

impl<'a> Reader<'_, 'a> {
    /// Reads `feed` and `variables` of a class, a task or a step.
    pub(super) fn draws(&mut self, table: &mut Table<'a>, scope: Scope) -> Draws {
        let feed = match scope.step {
            None => self.feed(table, scope),
            // Rows are taken by users and by runs of tasks.
            Some(_) => None,
        };
        let variables = self.variables(table, scope);
        Draws { feed, variables }
    }

    fn feed(&mut self, table: &mut Table<'a>, scope: Scope) -> Option<Feed> {
        let mut table = table.table(self.source, "feed")?;
        let file = table.string(self.source, "file");
        let order = self.order(&mut table);
        table.report_unknown_keys(self.source);
        let (file, at) = file?;
        let (names, rows) = match feed::read(&self.folder.join(file)) {
            Ok(read) => read,
            Err(message) => {
                self.source.add_error(at, message);
                return None;
            }
        };
        let columns: Option<Vec<_>> = names
            .iter()
            .map(|name| self.names.declare_drawn(self.source, name, scope, at.clone()))
            .collect();
        Some(Feed { columns: columns?, rows, order, taken: AtomicUsize::new(0) })
    }

    fn order(&mut self, table: &mut Table<'a>) -> Order {
        match table.optional_string(self.source, "order") {
            None => Order::InOrder,
            Some((order, _)) if order == "in-order" => Order::InOrder,
            Some((order, _)) if order == "random" => Order::Random,
            Some((order, at)) => {
                let message = format!("`order` must be in-order or random, not `{order}`");
                self.source.add_error(at, message);
                Order::InOrder
            }
        }
    }

    fn variables(&mut self, table: &mut Table<'a>, scope: Scope) -> Vec<Variable> {
        let Some(table) = table.table(self.source, "variables") else { return Vec::new() };
        let mut variables: Vec<Variable> = Vec::new();
        let entries = table.into_entries();
        let later: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for (index, entry) in entries.into_iter().enumerate() {
            let choice = self.choice(&entry.key, entry.value, scope, &later[index..]);
            let slot = self.names.declare_drawn(self.source, &entry.key, scope, entry.key_at);
            variables.extend(slot.zip(choice).map(|(slot, choice)| Variable { slot, choice }));
        }
        variables
    }

    /// Reads what a variable is drawn from. `later` are the variables of the same table that are drawn
    /// with or after it.
    fn choice(
        &mut self,
        name: &str,
        value: Spanned<DeValue<'a>>,
        scope: Scope,
        later: &[String],
    ) -> Option<Choice> {
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Some(Choice::OneOf(vec![self.drawn(name, &value, scope, later)?]));
        }
        let mut table = Table::from_value(value)?;
        let at = table.span.clone();
        let found =
            ["one_of", "integer", "number"].into_iter().filter(|key| table.contains_key(key));
        let [key] = found.collect::<Vec<_>>()[..] else {
            let message = format!("`{name}` needs one of `one_of`, `integer` and `number`");
            self.source.add_error(at, message);
            return None;
        };
        let value = table.take(key)?;
        table.report_unknown_keys(self.source);
        match key {
            "one_of" => self.one_of(name, &value, scope, later),
            "integer" => self
                .range(name, &value, toml_source::integer)
                .map(|(from, to)| Choice::Integer(from, to)),
            _ => self
                .range(name, &value, toml_source::number)
                .map(|(from, to)| Choice::Number(from, to)),
        }
    }

    fn one_of(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'a>>,
        scope: Scope,
        later: &[String],
    ) -> Option<Choice> {
        let items = match value.get_ref() {
            DeValue::Array(items) if !items.is_empty() => items,
            _ => {
                self.source.add_error(value.span(), "`one_of` must be a non-empty array");
                return None;
            }
        };
        let drawn: Option<Vec<Drawn>> =
            items.iter().map(|item| self.drawn(name, item, scope, later)).collect();
        drawn.map(Choice::OneOf)
    }

    /// Reads the two ends of a range.
    fn range<N: Copy + PartialOrd>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'a>>,
        read: impl Fn(&DeValue<'_>) -> Option<N>,
    ) -> Option<(N, N)> {
        let ends: Option<Vec<N>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(|item| read(item.get_ref())).collect(),
            _ => None,
        };
        match ends.as_deref() {
            Some([from, to]) if from <= to => Some((*from, *to)),
            _ => {
                let message =
                    format!("the range of `{name}` must be two numbers, the lower one first");
                self.source.add_error(value.span(), message);
                None
            }
        }
    }

    fn drawn(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'a>>,
        scope: Scope,
        later: &[String],
    ) -> Option<Drawn> {
        let at = value.span();
        match value.get_ref() {
            DeValue::String(text) => {
                if !self.check_references(name, text, &at, scope, later) {
                    return None;
                }
                let template = self.template(text, &at, scope);
                Some(template.whole_placeholder().map_or(Drawn::Text(template), Drawn::Whole))
            }
            DeValue::Array(_) | DeValue::Table(_) => {
                let message = format!("a value of `{name}` must be a text, a number or a boolean");
                self.source.add_error(at, message);
                None
            }
            value => match toml_source::to_json(value) {
                Ok(value) => Some(Drawn::Constant(value)),
                Err(message) => {
                    self.source.add_error(at, message);
                    None
                }
            },
        }
    }

    /// Checks that the placeholders in the text of a variable have values when it is drawn.
    fn check_references(
        &mut self,
        name: &str,
        text: &str,
        at: &std::ops::Range<usize>,
        scope: Scope,
        later: &[String],
    ) -> bool {
        for piece in pieces(text) {
            let Piece::Placeholder(used) = piece else { continue };
            let is_later = later.iter().any(|later| later == used);
            if is_later || (scope == Scope::default() && !self.names.is_set_at_start(used)) {
                let message = format!("`{{{used}}}` has no value yet when `{name}` is drawn");
                self.source.add_error(at.clone(), message);
                return false;
            }
        }
        true
    }
}
