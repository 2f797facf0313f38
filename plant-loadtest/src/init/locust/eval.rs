//! Evaluates expressions as far as the file tells.

use std::collections::BTreeMap;

use ruff_python_ast::{
    BoolOp, CmpOp, Comprehension, Expr, InterpolatedStringElement, Number, Operator, UnaryOp,
};
use ruff_text_size::Ranged;

use super::{
    python::dotted,
    symbol::{Draw, DrawKind, Piece, Place, Symbol, below, join},
    walk::Walker,
};
use crate::init::value::pointer_segment;

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
                for item in &dict.items {
                    let value = self.eval(&item.value);
                    let Some(key) = &item.key else {
                        let Symbol::Dict(others) = value else { return self.unknown(expression) };
                        entries.retain(|(name, _)| others.iter().all(|(other, _)| other != name));
                        entries.extend(others);
                        continue;
                    };
                    let key = match self.eval(key) {
                        Symbol::Integer(number) => number.to_string(),
                        key => match key.as_literal() {
                            Some(key) => key.to_owned(),
                            None => return self.unknown(expression),
                        },
                    };
                    entries.push((key, value));
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

    fn attribute(&mut self, expression: &'m Expr) -> Symbol {
        if let Some(attribute) = self.own_attribute(expression) {
            return match self.property(&attribute, expression) {
                Some(value) => value,
                None => self.own_value(&attribute, expression),
            };
        }
        let Expr::Attribute(attribute) = expression else { return self.unknown(expression) };
        let name = attribute.attr.as_str();
        if let Some(full) = self.module.full_name(expression) {
            let text = match full.as_str() {
                "string.ascii_letters" => {
                    Some("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
                }
                "string.ascii_lowercase" => Some("abcdefghijklmnopqrstuvwxyz"),
                "string.ascii_uppercase" => Some("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                "string.digits" => Some("0123456789"),
                "string.hexdigits" => Some("0123456789abcdefABCDEF"),
                _ => None,
            };
            if let Some(text) = text {
                return Symbol::text(text);
            }
            if let Some((class, name)) = full.split_once('.')
                && let Some(class) = self.module.class(class)
                && let Some(value) = self.module.members(class).attributes.get(name).copied()
            {
                return self.eval(value);
            }
        }
        match (self.eval(&attribute.value), name) {
            (Symbol::Response(step), "status_code") => Symbol::Status(step),
            (Symbol::Response(step), "text" | "content") => Symbol::Body(step),
            (Symbol::Response(step), "js") => self.json_of(step),
            (Symbol::Response(step), "elapsed") => Symbol::Elapsed(step),
            (Symbol::Response(step), "headers") => Symbol::Extracted(step, "header:".into()),
            (Symbol::Response(step), "cookies") => Symbol::Extracted(step, "cookie:".into()),
            (draw @ Symbol::Draw(Draw { kind: DrawKind::Uuid, .. }), "hex") => {
                self.changed(expression, "the UUID is sent with its dashes");
                draw
            }
            (unknown @ Symbol::Unknown(_), _) => unknown,
            _ => self.unknown(expression),
        }
    }

    /// The name `x` of `self.x`, `self.user.x` or `self.parent.x`.
    pub fn own_attribute(&self, expression: &Expr) -> Option<String> {
        let name = self.own_path(expression)?;
        (!name.contains('.') && name != "client").then_some(name)
    }

    /// The path below `self.client`: `headers` of `self.client.headers`.
    pub fn client_path(&self, expression: &Expr) -> Option<String> {
        Some(self.own_path(expression)?.strip_prefix("client.")?.to_owned())
    }

    fn own_path(&self, expression: &Expr) -> Option<String> {
        let path = dotted(expression)?;
        let own = self.self_names.last()?;
        let mut path = path.strip_prefix(own.as_str())?.strip_prefix('.')?;
        while let Some(rest) = path.strip_prefix("user.").or_else(|| path.strip_prefix("parent.")) {
            path = rest;
        }
        Some(path.to_owned())
    }

    /// The value of an attribute of the user: what is assigned to it anywhere in the class.
    fn own_value(&mut self, name: &str, expression: &'m Expr) -> Symbol {
        let assigned = self.before.get(name).or_else(|| self.attributes.get(name));
        let mut values = assigned.cloned().unwrap_or_default();
        let members = self.members;
        if let Some(initial) = members.iter().find_map(|members| members.attributes.get(name)) {
            values.push(self.eval(initial));
        }
        if values.is_empty() {
            let text = format!("`self.{name}` is not set anywhere in the file");
            return self.unknown_because(expression, text);
        }
        one_of_assigned(values).unwrap_or_else(|| {
            let text = format!("`self.{name}` has several values");
            self.unknown_because(expression, text)
        })
    }

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

    fn slice(&mut self, value: Symbol, end: Option<Symbol>, plain: bool, at: &'m Expr) -> Symbol {
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
            Operator::FloorDiv => left.checked_div_euclid(right),
            Operator::Mod => left.checked_rem_euclid(right),
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

    /// `"…%s…" % value`.
    fn percent_format(&mut self, format: &str, right: &'m Expr, at: &'m Expr) -> Symbol {
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
        let (from, to) = match bounds {
            [Symbol::Integer(to)] => (0, *to),
            [Symbol::Integer(from), Symbol::Integer(to)] => (*from, *to),
            _ => return self.unknown(at),
        };
        if to.saturating_sub(from) > LONGEST_LIST {
            return self.unknown(at);
        }
        Symbol::List((from..to).map(Symbol::Integer).collect())
    }

    /// Truth of a condition that does not depend on a response's status.
    pub fn truth(&mut self, test: &'m Expr) -> Option<bool> {
        match test {
            Expr::UnaryOp(operation) if operation.op == UnaryOp::Not => {
                self.truth(&operation.operand).map(|truth| !truth)
            }
            Expr::BoolOp(operation) => {
                let mut all_known = true;
                for operand in &operation.values {
                    let truth = self.truth(operand);
                    if truth == Some(operation.op == BoolOp::Or) {
                        return truth;
                    }
                    all_known &= truth.is_some();
                }
                all_known.then_some(operation.op == BoolOp::And)
            }
            Expr::Compare(compare) => {
                let ([op], [right]) = (&compare.ops[..], &compare.comparators[..]) else {
                    return None;
                };
                let left = self.eval(&compare.left);
                let right = self.eval(right);
                compared(&left, *op, &right)
            }
            other => self.eval(other).truth(),
        }
    }
}

/// The one value of an attribute. Values of responses win over the empty values before them.
fn one_of_assigned(values: Vec<Symbol>) -> Option<Symbol> {
    let mut places: Vec<Place> = Vec::new();
    let mut lists: Vec<Place> = Vec::new();
    let mut items: Vec<Symbol> = Vec::new();
    let mut others: Vec<Symbol> = Vec::new();
    let first = values.first().cloned();
    for value in values {
        match value {
            Symbol::Json(more) => places.extend(
                more.into_iter().filter(|place| !places.contains(place)).collect::<Vec<_>>(),
            ),
            Symbol::Each(more) => lists.extend(more),
            value if value.is_empty() => {}
            Symbol::List(more) => items.extend(more),
            value if others.contains(&value) => {}
            value => others.push(value),
        }
    }
    if !lists.is_empty() || !places.is_empty() {
        // `self.ids = [item["id"] for item in …]` beside `self.ids.append(…)`.
        for item in items {
            if let Symbol::Json(more) = item {
                lists.extend(more);
            }
        }
        lists.dedup();
        return Some(if lists.is_empty() || !places.is_empty() {
            places.extend(lists);
            Symbol::Json(places)
        } else {
            Symbol::Each(lists)
        });
    }
    match (&others[..], items.is_empty()) {
        ([], true) => first,
        ([], false) => Some(Symbol::List(items)),
        ([only], true) => Some(only.clone()),
        _ => None,
    }
}

/// The result of a comparison of constants, or with `None`.
fn compared(left: &Symbol, op: CmpOp, right: &Symbol) -> Option<bool> {
    match (op, left, right) {
        (CmpOp::Is | CmpOp::Eq, value, Symbol::Null) => {
            Some(*value == Symbol::Null).filter(|_| value.truth().is_some())
        }
        (CmpOp::IsNot | CmpOp::NotEq, value, Symbol::Null) => {
            Some(*value != Symbol::Null).filter(|_| value.truth().is_some())
        }
        (op, Symbol::Integer(left), Symbol::Integer(right)) => Some(match op {
            CmpOp::Eq => left == right,
            CmpOp::NotEq => left != right,
            CmpOp::Lt => left < right,
            CmpOp::LtE => left <= right,
            CmpOp::Gt => left > right,
            CmpOp::GtE => left >= right,
            _ => return None,
        }),
        (CmpOp::Eq, left, right) => Some(left.as_literal()? == right.as_literal()?),
        (CmpOp::NotEq, left, right) => Some(left.as_literal()? != right.as_literal()?),
        _ => None,
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
