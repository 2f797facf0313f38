//! Methods of values.

use ruff_python_ast::{Expr, ExprCall};

use super::{
    symbol::{Draw, DrawKind, Symbol},
    walk::Walker,
};

impl<'m> Walker<'m> {
    /// The value of a method of a value.
    pub(super) fn method_of(&mut self, owner: Symbol, method: &str, call: &'m ExprCall) -> Symbol {
        let arguments = &call.arguments.args;
        match (owner, method) {
            (Symbol::Response(step), "json") => self.json_of(step),
            (Symbol::Elapsed(step), "total_seconds") => Symbol::Elapsed(step),
            (owner @ (Symbol::Json(_) | Symbol::Dict(_) | Symbol::Extracted(..)), "get") => {
                let Some(key) = arguments.first() else { return self.unknown(call) };
                let key = self.eval(key);
                let is_constant = matches!(owner, Symbol::Dict(_));
                if let (false, Some(default)) = (is_constant, arguments.get(1)) {
                    self.note_default(default);
                }
                match self.index(owner, &key, call) {
                    Symbol::Unknown(_) if is_constant => match arguments.get(1) {
                        Some(default) => self.eval(default),
                        None => Symbol::Null,
                    },
                    value => value,
                }
            }
            (owner @ (Symbol::Dict(_) | Symbol::List(_) | Symbol::Json(_)), "copy") => owner,
            // Each user takes another element of a list that all share.
            (Symbol::List(items), "pop") if self.is_constant(call) && !items.is_empty() => {
                let items =
                    if arguments.is_empty() { items.into_iter().rev().collect() } else { items };
                self.draw(DrawKind::NextOf(items))
            }
            (Symbol::Dict(entries), "keys") => {
                Symbol::List(entries.into_iter().map(|(key, _)| Symbol::text(key)).collect())
            }
            (Symbol::Dict(entries), "values") => {
                Symbol::List(entries.into_iter().map(|(_, value)| value).collect())
            }
            (Symbol::Dict(entries), "items") => Symbol::List(
                entries
                    .into_iter()
                    .map(|(key, value)| Symbol::List(vec![Symbol::text(key), value]))
                    .collect(),
            ),
            (draw @ Symbol::Draw(Draw { kind: DrawKind::Now, .. }), "isoformat") => draw,
            (Symbol::Draw(Draw { kind: DrawKind::Now, .. }), "timestamp") => {
                self.draw(DrawKind::Unix)
            }
            (text @ (Symbol::Text(_) | Symbol::JsonText(_)), "encode" | "decode") => text,
            (Symbol::Text(pieces), method) => self.text_method(&pieces, method, call),
            (unknown @ Symbol::Unknown(_), _) => unknown,
            _ => self.unknown(call),
        }
    }

    /// A response without the value of a variable is a failure: there is no default.
    fn note_default(&mut self, default: &'m Expr) {
        if !self.eval(default).is_empty() {
            self.changed(
                default,
                "a default is not used: a response without the value is a failure",
            );
        }
    }

    /// Whether the owner of a method is a constant of the module.
    fn is_constant(&self, call: &ExprCall) -> bool {
        let Expr::Attribute(attribute) = &*call.func else { return false };
        let Expr::Name(name) = &*attribute.value else { return false };
        let name = name.id.as_str();
        self.module.constants.contains_key(name)
            && self.locals.last().is_none_or(|locals| !locals.contains_key(name))
    }
}
