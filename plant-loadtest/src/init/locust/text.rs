//! Methods and operators of texts.

use ruff_python_ast::{Expr, ExprCall};

use super::{
    symbol::{Piece, Symbol, join},
    walk::Walker,
};

impl<'m> Walker<'m> {
    pub(super) fn text_method(
        &mut self,
        pieces: &[Piece],
        method: &str,
        call: &'m ExprCall,
    ) -> Symbol {
        let literal = match pieces {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text.as_str()),
            _ => None,
        };
        let Some(literal) = literal else { return self.unknown(call) };
        let arguments = &call.arguments.args;
        match method {
            "lower" => Symbol::text(literal.to_lowercase()),
            "upper" => Symbol::text(literal.to_uppercase()),
            "strip" if arguments.is_empty() => Symbol::text(literal.trim()),
            "rstrip" | "lstrip" | "strip" => match arguments.first().map(|cut| self.eval(cut)) {
                Some(cut) if cut.as_literal().is_some() => {
                    let cut: Vec<char> = cut.as_literal().unwrap_or_default().chars().collect();
                    Symbol::text(match method {
                        "rstrip" => literal.trim_end_matches(&cut[..]),
                        "lstrip" => literal.trim_start_matches(&cut[..]),
                        _ => literal.trim_matches(&cut[..]),
                    })
                }
                _ => self.unknown(call),
            },
            "split" => {
                let separator = arguments.first().map(|separator| self.eval(separator));
                let parts: Vec<Symbol> = match separator.as_ref().and_then(Symbol::as_literal) {
                    Some(separator) if !separator.is_empty() => {
                        literal.split(separator).map(Symbol::text).collect()
                    }
                    _ => literal.split_whitespace().map(Symbol::text).collect(),
                };
                Symbol::List(parts)
            }
            "format" => self.brace_format(literal.to_owned().as_str(), call),
            "join" => self.join_texts(literal.to_owned().as_str(), call),
            _ => self.unknown(call),
        }
    }

    /// `"…{}…{name}…".format(…)`.
    fn brace_format(&mut self, format: &str, call: &'m ExprCall) -> Symbol {
        let mut next = 0;
        let mut pieces = Vec::new();
        let mut rest = format;
        while let Some(at) = rest.find(['{', '}']) {
            pieces.push(Piece::Literal(rest[..at].to_owned()));
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if rest.starts_with(brace) {
                pieces.push(Piece::Literal(brace.to_owned()));
                rest = &rest[1..];
                continue;
            }
            let Some((field, after)) = rest.split_once('}').filter(|_| brace == "{") else {
                return self.unknown(call);
            };
            rest = after;
            let argument = if field.is_empty() {
                next += 1;
                call.arguments.args.get(next - 1)
            } else if let Ok(position) = field.parse::<usize>() {
                call.arguments.args.get(position)
            } else {
                call.arguments.find_keyword(field).map(|keyword| &keyword.value)
            };
            match argument {
                Some(argument) => pieces.extend(self.eval(argument).into_pieces()),
                None => return self.unknown(call),
            }
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        join(pieces)
    }

    /// `"".join(…)` of a list, or of random characters.
    fn join_texts(&mut self, separator: &str, call: &'m ExprCall) -> Symbol {
        let Some(argument) = call.arguments.args.first() else { return self.unknown(call) };
        if separator.is_empty()
            && let Some(length) = self.random_characters(argument)
        {
            return self.digits(length, "other random characters", call);
        }
        let Symbol::List(items) = self.eval(argument) else { return self.unknown(call) };
        let mut pieces = Vec::new();
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                pieces.push(Piece::Literal(separator.to_owned()));
            }
            pieces.extend(item.into_pieces());
        }
        join(pieces)
    }

    /// The number of characters of `random.choices(…, k=8)` or of `random.choice(…) for _ in range(8)`.
    fn random_characters(&mut self, argument: &'m Expr) -> Option<usize> {
        let length = match argument {
            Expr::Call(call) => {
                if self.module.full_name(&call.func)? != "random.choices" {
                    return None;
                }
                self.eval(call.arguments.args.first()?).as_literal()?;
                self.eval(&call.arguments.find_keyword("k")?.value)
            }
            Expr::Generator(_) | Expr::ListComp(_) => {
                let (element, generators) = match argument {
                    Expr::Generator(list) => (&*list.elt, &list.generators),
                    Expr::ListComp(list) => (&*list.elt, &list.generators),
                    _ => return None,
                };
                let Expr::Call(choice) = element else { return None };
                if !["random.choice", "choice"]
                    .contains(&self.module.full_name(&choice.func)?.as_str())
                {
                    return None;
                }
                self.eval(choice.arguments.args.first()?).as_literal()?;
                let [generator] = &generators[..] else { return None };
                match self.eval(&generator.iter) {
                    Symbol::List(items) => Symbol::Integer(i64::try_from(items.len()).ok()?),
                    _ => return None,
                }
            }
            _ => return None,
        };
        match length {
            Symbol::Integer(length) => usize::try_from(length).ok(),
            _ => None,
        }
    }

    /// `"…%s…" % value`.
    pub(super) fn percent_format(&mut self, format: &str, right: &'m Expr, at: &'m Expr) -> Symbol {
        let values = match right {
            Expr::Tuple(tuple) => tuple.elts.iter().map(|item| self.eval(item)).collect(),
            other => vec![self.eval(other)],
        };
        let mut values = values.into_iter();
        let mut pieces = Vec::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            pieces.push(Piece::Literal(before.to_owned()));
            let mut characters = after.chars();
            match characters.next() {
                Some('%') => pieces.push(Piece::Literal("%".into())),
                Some('s' | 'd' | 'i') => match values.next() {
                    Some(value) => pieces.extend(value.into_pieces()),
                    None => return self.unknown(at),
                },
                _ => return self.unknown(at),
            }
            rest = characters.as_str();
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        join(pieces)
    }
}
