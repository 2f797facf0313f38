//! Evaluates expressions as far as the file shows.

use std::collections::BTreeMap;

use ruff_python_ast::{
    BoolOp, Comprehension, Expr, InterpolatedStringElement, Number, Operator, UnaryOp,
};
use ruff_text_size::Ranged;

use super::{
    symbol::{Draw, DrawKind, Piece, Symbol, below, join},
    walk::Walker,
};

/// Longest list that a comprehension or a range makes.
const LONGEST_LIST: i64 = 1000;

impl<'m> Walker<'m> {
    /// Evaluates an expression. Requests in it are recorded.
    pub fn eval(&mut self, expression: &'m Expr) -> Symbol {
        self.deeper(expression, |walker| walker.value(expression))
    }

    fn value(&mut self, expression: &'m Expr) -> Symbol {
        match expression {
            Expr::NoneLiteral(_) => Symbol::Null,
            Expr::BooleanLiteral(literal) => Symbol::Bool(literal.value),
            Expr::NumberLiteral(literal) => match &literal.value {
                Number::Int(number) => {
                    number.as_i64().map_or_else(|| self.unknown(expression), Symbol::Integer)
                }
                Number::Float(number) => Symbol::Float(*number),
                Number::Complex { .. } => self.unknown(expression),
            },
            Expr::StringLiteral(literal) => Symbol::text(literal.value.to_str()),
            Expr::BytesLiteral(literal) => {
                let bytes: Vec<u8> = literal.value.bytes().collect();
                String::from_utf8(bytes).map_or_else(|_| self.unknown(expression), Symbol::text)
            }
            Expr::FString(literal) => {
                let elements: Vec<_> = literal.value.iter().collect();
                let mut pieces = Vec::new();
                for part in elements {
                    match part {
                        ruff_python_ast::FStringPart::Literal(text) => {
                            pieces.push(Piece::Literal(text.value.to_string()));
                        }
                        ruff_python_ast::FStringPart::FString(part) => {
                            for element in &part.elements {
                                pieces.extend(self.interpolated(element));
                            }
                        }
                    }
                }
                join(pieces)
            }
            Expr::Name(name) => self.name(name.id.as_str(), expression),
            Expr::Attribute(_) => self.attribute(expression),
            Expr::Subscript(subscript) => {
                if self.module.full_name(&subscript.value).as_deref() == Some("os.environ")
                    && let Some(setting) = self.eval(&subscript.slice).as_literal()
                {
                    let setting = setting.to_owned();
                    return self.draw(DrawKind::Setting(setting));
                }
                let value = self.eval(&subscript.value);
                if let Expr::Slice(slice) = &*subscript.slice {
                    let end = slice.upper.as_ref().map(|end| self.eval(end));
                    let plain = slice.lower.is_none() && slice.step.is_none();
                    return self.slice(value, end, plain, expression);
                }
                let index = self.eval(&subscript.slice);
                self.index(value, &index, expression)
            }
            Expr::Call(call) => self.call(call),
            Expr::BinOp(operation) => {
                let left = self.eval(&operation.left);
                if operation.op == Operator::Mod
                    && let Some(format) = left.as_literal().map(str::to_owned)
                {
                    return self.percent_format(&format, &operation.right, expression);
                }
                let right = self.eval(&operation.right);
                self.operation(left, operation.op, right, expression)
            }
            Expr::UnaryOp(operation) => {
                let operand = self.eval(&operation.operand);
                match (operation.op, operand) {
                    (UnaryOp::USub, Symbol::Integer(number)) => number
                        .checked_neg()
                        .map_or_else(|| self.unknown(expression), Symbol::Integer),
                    (UnaryOp::USub, Symbol::Float(number)) => Symbol::Float(-number),
                    (UnaryOp::Not, operand) => match operand.truth() {
                        Some(truth) => Symbol::Bool(!truth),
                        None => self.unknown(expression),
                    },
                    _ => self.unknown(expression),
                }
            }
            Expr::BoolOp(operation) => {
                let mut value = Symbol::Null;
                for operand in &operation.values {
                    value = self.eval(operand);
                    match (operation.op, value.truth()) {
                        (BoolOp::Or, Some(false)) | (BoolOp::And, Some(true)) => {}
                        (_, Some(_)) => return value,
                        (_, None) => return self.unknown(expression),
                    }
                }
                value
            }
            Expr::If(choice) => match self.truth(&choice.test) {
                Some(true) => self.eval(&choice.body),
                Some(false) => self.eval(&choice.orelse),
                None => self.unknown(expression),
            },
            Expr::Compare(_) => match self.truth(expression) {
                Some(truth) => Symbol::Bool(truth),
                None => self.unknown(expression),
            },
            Expr::List(list) => self.list(&list.elts),
            Expr::Tuple(tuple) => self.list(&tuple.elts),
            Expr::Set(set) => self.list(&set.elts),
            Expr::Dict(dict) => {
                let mut entries: Vec<(String, Symbol)> = Vec::new();
                let mut positions: BTreeMap<String, usize> = BTreeMap::new();
                for item in &dict.items {
                    let value = self.eval(&item.value);
                    let Some(key) = &item.key else {
                        let Symbol::Dict(others) = value else { return self.unknown(expression) };
                        entries.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
                        entries.extend(others);
                        let keys = entries.iter().enumerate();
                        positions = keys.map(|(at, (key, _))| (key.clone(), at)).collect();
                        continue;
                    };
                    let key = match self.eval(key) {
                        Symbol::Integer(number) => number.to_string(),
                        key => match key.as_literal() {
                            Some(key) => key.to_owned(),
                            None => return self.unknown(expression),
                        },
                    };
                    // The last value of a key counts, in the place of the first.
                    match positions.get(&key).copied() {
                        Some(position) => entries[position].1 = value,
                        None => {
                            positions.insert(key.clone(), entries.len());
                            entries.push((key, value));
                        }
                    }
                }
                Symbol::Dict(entries)
            }
            Expr::ListComp(list) => self.comprehension(&list.elt, &list.generators, expression),
            Expr::Generator(list) => self.comprehension(&list.elt, &list.generators, expression),
            Expr::Named(named) => {
                let value = self.eval(&named.value);
                if let Expr::Name(name) = &*named.target {
                    self.bind(name.id.as_str(), value.clone());
                }
                value
            }
            _ => self.unknown(expression),
        }
    }

    fn list(&mut self, items: &'m [Expr]) -> Symbol {
        Symbol::List(items.iter().map(|item| self.eval(item)).collect())
    }

    fn interpolated(&mut self, element: &'m InterpolatedStringElement) -> Vec<Piece> {
        match element {
            InterpolatedStringElement::Literal(text) => {
                vec![Piece::Literal(text.value.to_string())]
            }
            InterpolatedStringElement::Interpolation(hole) => {
                let value = self.eval(&hole.expression);
                let is_drawn = matches!(value, Symbol::Draw(_) | Symbol::Field(..));
                if let (Some(format), true) = (&hole.format_spec, is_drawn) {
                    let text = format!(
                        "the format of `{}` is not applied",
                        self.module.source.snippet(&**format)
                    );
                    self.changed(hole, text);
                } else if hole.format_spec.is_some() {
                    return vec![Piece::Hole(self.unknown(hole))];
                }
                value.into_pieces()
            }
        }
    }

    fn name(&mut self, name: &str, expression: &'m Expr) -> Symbol {
        if let Some(value) = self.locals.last().and_then(|locals| locals.get(name)) {
            return value.clone();
        }
        match self.module.constants.get(name).copied() {
            // Constants have no local variables.
            Some(constant) => {
                if let Some(value) = self.constants.get(name) {
                    return value.clone();
                }
                self.locals.push(BTreeMap::new());
                let value = self.eval(constant);
                self.locals.pop();
                self.constants.insert(name.to_owned(), value.clone());
                value
            }
            None => {
                self.unknown_because(expression, format!("`{name}` is not defined in the file"))
            }
        }
    }

    /// A new draw of the function that is being walked.
    pub fn draw(&mut self, kind: DrawKind) -> Symbol {
        self.draws += 1;
        Symbol::Draw(Draw { id: (self.requests.len(), self.draws), kind })
    }

    fn operation(&mut self, left: Symbol, op: Operator, right: Symbol, at: &'m Expr) -> Symbol {
        let numbers = |op: Operator, left: i64, right: i64| match op {
            Operator::Add => left.checked_add(right),
            Operator::Sub => left.checked_sub(right),
            Operator::Mult => left.checked_mul(right),
            // Of Python's results for negative divisors, Rust has no equal.
            Operator::FloorDiv if right > 0 => left.checked_div_euclid(right),
            Operator::Mod if right > 0 => left.checked_rem_euclid(right),
            _ => None,
        };
        let result = match (left, op, right) {
            (Symbol::Text(left), Operator::Add, Symbol::Text(right)) => {
                Some(join(left.into_iter().chain(right)))
            }
            (
                Symbol::Text(left),
                Operator::Add,
                right @ (Symbol::Json(_)
                | Symbol::Draw(_)
                | Symbol::Field(..)
                | Symbol::Extracted(..)),
            ) => Some(join(left.into_iter().chain(right.into_pieces()))),
            (
                left @ (Symbol::Json(_)
                | Symbol::Draw(_)
                | Symbol::Field(..)
                | Symbol::Extracted(..)),
                Operator::Add,
                Symbol::Text(right),
            ) => Some(join(left.into_pieces().into_iter().chain(right))),
            (Symbol::List(left), Operator::Add, Symbol::List(right)) => {
                Some(Symbol::List(left.into_iter().chain(right).collect()))
            }
            (Symbol::Integer(left), op, Symbol::Integer(right)) => {
                numbers(op, left, right).map(Symbol::Integer)
            }
            (Symbol::Text(pieces), Operator::Mult, Symbol::Integer(times @ 0..=10_000)) => {
                let times = usize::try_from(times).unwrap_or(0);
                match &pieces[..] {
                    [Piece::Literal(text)] if text.len() * times <= 1 << 16 => {
                        Some(Symbol::text(text.repeat(times)))
                    }
                    _ => None,
                }
            }
            (unknown @ Symbol::Unknown(_), ..) | (_, _, unknown @ Symbol::Unknown(_)) => {
                Some(unknown)
            }
            _ => None,
        };
        result.unwrap_or_else(|| self.unknown(at))
    }

    /// `[… for x in …]` over the elements of a response, a list or a range.
    fn comprehension(
        &mut self,
        element: &'m Expr,
        generators: &'m [Comprehension],
        at: &'m Expr,
    ) -> Symbol {
        let [generator] = generators else { return self.unknown(at) };
        let Expr::Name(target) = &generator.target else { return self.unknown(at) };
        if !generator.ifs.is_empty() {
            return self.unknown(at);
        }
        let iterated = self.eval(&generator.iter);
        let element_of = |walker: &mut Self, value: Symbol| {
            walker.bind(target.id.as_str(), value);
            walker.eval(element)
        };
        match iterated {
            Symbol::Json(places) => match element_of(self, Symbol::Json(below(&places, "*"))) {
                Symbol::Json(places) => Symbol::Each(places),
                _ => self.unknown(at),
            },
            Symbol::Each(places) => match element_of(self, Symbol::Json(places)) {
                Symbol::Json(places) => Symbol::Each(places),
                _ => self.unknown(at),
            },
            Symbol::List(items) => {
                Symbol::List(items.into_iter().map(|item| element_of(self, item)).collect())
            }
            unknown @ Symbol::Unknown(_) => unknown,
            _ => self.unknown(at),
        }
    }

    /// The integers of `range`.
    pub fn range(&mut self, bounds: &[Symbol], at: &impl Ranged) -> Symbol {
        let (from, to, step) = match bounds {
            [Symbol::Integer(to)] => (0, *to, 1),
            [Symbol::Integer(from), Symbol::Integer(to)] => (*from, *to, 1),
            [Symbol::Integer(from), Symbol::Integer(to), Symbol::Integer(step @ 1..)] => {
                (*from, *to, *step)
            }
            _ => return self.unknown(at),
        };
        if to.saturating_sub(from) / step > LONGEST_LIST {
            return self.unknown(at);
        }
        let step = usize::try_from(step).unwrap_or(usize::MAX);
        Symbol::List((from..to).step_by(step).map(Symbol::Integer).collect())
    }
}
