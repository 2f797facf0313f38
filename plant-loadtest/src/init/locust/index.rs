//! Entries and slices of values.

use ruff_python_ast::Expr;
use ruff_text_size::Ranged;

use super::{
    symbol::{Draw, DrawKind, Piece, Place, Symbol, below, join},
    walk::Walker,
};
use crate::init::value::pointer_segment;

impl<'m> Walker<'m> {
    /// The entry of a value.
    pub fn index(&mut self, value: Symbol, index: &Symbol, at: &impl Ranged) -> Symbol {
        let key = match index {
            Symbol::Integer(number) => Some(number.to_string()),
            other => other.as_literal().map(str::to_owned),
        };
        let Some(key) = key else { return self.unknown(at) };
        let number = if let Symbol::Integer(number) = index { Some(*number) } else { None };
        if let (Symbol::Json(_) | Symbol::Each(_), Some(..0)) = (&value, number) {
            return self.unknown(at);
        }
        let found = match value {
            Symbol::Json(places) => Some(Symbol::Json(below(&places, &pointer_segment(&key)))),
            Symbol::Each(places) => number.map(|_| {
                let first =
                    |place: Place| Place { pointer: place.pointer.replacen('*', &key, 1), ..place };
                Symbol::Json(places.into_iter().map(first).collect())
            }),
            Symbol::Dict(entries) => {
                entries.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
            }
            Symbol::List(mut items) => number.and_then(|number| {
                let length = i64::try_from(items.len()).ok()?;
                let position = if number < 0 { number + length } else { number };
                let position = usize::try_from(position).ok()?;
                (position < items.len()).then(|| items.swap_remove(position))
            }),
            Symbol::Draw(draw) if draw.fields().is_some_and(|fields| fields.contains(&key)) => {
                Some(Symbol::Field(draw, key))
            }
            Symbol::Extracted(step, place) if place.ends_with(':') => {
                Some(Symbol::Extracted(step, place + &key))
            }
            unknown @ Symbol::Unknown(_) => Some(unknown),
            _ => None,
        };
        found.unwrap_or_else(|| self.unknown(at))
    }

    pub(super) fn slice(
        &mut self,
        value: Symbol,
        end: Option<Symbol>,
        plain: bool,
        at: &'m Expr,
    ) -> Symbol {
        let (true, Some(Symbol::Integer(length))) = (plain, end) else { return self.unknown(at) };
        let Ok(length) = usize::try_from(length) else { return self.unknown(at) };
        match value {
            Symbol::List(mut items) => {
                items.truncate(length);
                Symbol::List(items)
            }
            Symbol::Text(pieces) => match &pieces[..] {
                [Piece::Literal(text)] => {
                    Symbol::text(text.chars().take(length).collect::<String>())
                }
                [Piece::Hole(Symbol::Draw(Draw { kind: DrawKind::Uuid, .. }))] => {
                    self.digits(length, "the beginning of a UUID", at)
                }
                _ => self.unknown(at),
            },
            Symbol::Draw(Draw { kind: DrawKind::Uuid, .. }) => {
                self.digits(length, "the beginning of a UUID", at)
            }
            unknown @ Symbol::Unknown(_) => unknown,
            _ => self.unknown(at),
        }
    }

    /// Random digits in place of other random characters.
    pub fn digits(&mut self, length: usize, instead_of: &str, at: &impl Ranged) -> Symbol {
        if !(1..=18).contains(&length) {
            return self.unknown(at);
        }
        self.changed(at, format!("{length} random digits instead of {instead_of}"));
        let most = 10_i64.pow(u32::try_from(length).unwrap_or(1)) - 1;
        let draw = self.draw(DrawKind::Integer(most / 10 + i64::from(length > 1), most));
        join([Piece::Hole(draw)])
    }
}

impl Draw {
    /// The keys that all values of a choice have.
    fn fields(&self) -> Option<Vec<String>> {
        let (DrawKind::OneOf(items) | DrawKind::NextOf(items)) = &self.kind else { return None };
        let mut common: Option<Vec<String>> = None;
        for item in items {
            let keys: Vec<String> = match item {
                Symbol::Dict(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
                Symbol::List(items) => {
                    (0..items.len()).map(|position| position.to_string()).collect()
                }
                _ => return None,
            };
            common = Some(match common {
                Some(common) => common.into_iter().filter(|key| keys.contains(key)).collect(),
                None => keys,
            });
        }
        common
    }
}
