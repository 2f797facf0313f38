//! Variables whose values are drawn, once for a user or for each run of a task.

use serde_json::Value;

use super::{
    template::{Missing, Placeholder, Template},
    values::{Slot, Values},
};

/// A variable with what its value is drawn from.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// The variable.
    pub(super) slot: Slot,
    /// What its value is drawn from.
    pub(super) choice: Choice,
}

/// What the value of a variable is drawn from.
#[derive(Clone, Debug)]
pub(super) enum Choice {
    /// One of these, each with the same probability.
    OneOf(Vec<Drawn>),
    /// An integer, both ends included.
    Integer(i64, i64),
    /// A number from the first (included) to the second (excluded).
    Number(f64, f64),
}

/// A possible value.
#[derive(Clone, Debug)]
pub(super) enum Drawn {
    /// A number or a boolean.
    Constant(Value),
    /// A placeholder alone, whose value keeps its type.
    Whole(Placeholder),
    /// A text.
    Text(Template),
}

impl Variable {
    /// Draws a value and sets it.
    pub(super) fn draw(&self, values: &mut Values) -> Result<(), Missing> {
        let value = match &self.choice {
            Choice::OneOf(choices) => match choices.get(fastrand::usize(..choices.len().max(1))) {
                Some(drawn) => Some(drawn.value(values)?),
                None => None,
            },
            Choice::Integer(from, to) => Some(fastrand::i64(from..=to).into()),
            Choice::Number(from, to) => Some((from + fastrand::f64() * (to - from)).into()),
        };
        values.set(self.slot, value);
        Ok(())
    }

    /// Returns the variables that this one needs.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let Choice::OneOf(choices) = &self.choice else { return Vec::new() };
        choices.iter().flat_map(Drawn::slots).collect()
    }
}

impl Drawn {
    fn value(&self, values: &Values) -> Result<Value, Missing> {
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Whole(placeholder) => placeholder.value(values)?.into_owned(),
            Self::Text(template) => Value::String(template.render(values)?),
        })
    }

    fn slots(&self) -> Vec<Slot> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Whole(placeholder) => placeholder.slot().into_iter().collect(),
            Self::Text(template) => template.slots().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn draws(choice: Choice) -> Vec<Value> {
        let variable = Variable { slot: Slot(0), choice };
        let mut values = Values::new(1, 1);
        let draw = |_| {
            variable.draw(&mut values).unwrap();
            values.get(Slot(0)).unwrap().clone()
        };
        (0..300).map(draw).collect()
    }

    #[test]
    fn an_integer_is_drawn_from_the_whole_range_with_both_ends() {
        let drawn = draws(Choice::Integer(-1, 1));
        for expected in [-1, 0, 1] {
            assert!(drawn.contains(&json!(expected)), "{expected}");
        }
        assert!(drawn.iter().all(|value| (-1..=1).contains(&value.as_i64().unwrap())));
    }

    #[test]
    fn a_number_is_drawn_from_its_range() {
        let drawn = draws(Choice::Number(0.5, 2.5));
        assert!(drawn.iter().all(|value| (0.5..2.5).contains(&value.as_f64().unwrap())));
        assert!(drawn.iter().any(|value| value.as_f64() > Some(1.5)));
    }

    #[test]
    fn every_choice_is_drawn_with_its_type() {
        let choices = vec![Drawn::Constant(json!(1)), Drawn::Constant(json!("a"))];
        let drawn = draws(Choice::OneOf(choices));
        assert!(drawn.contains(&json!(1)) && drawn.contains(&json!("a")));
    }
}
