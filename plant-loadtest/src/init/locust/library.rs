//! Functions of Python's library.

use ruff_python_ast::ExprCall;

use super::{
    symbol::{DrawKind, Piece, Place, StepId, Symbol, below, join},
    walk::Walker,
};

impl<'m> Walker<'m> {
    /// The value of a function of Python's library.
    pub(super) fn library(&mut self, name: &str, call: &'m ExprCall) -> Option<Symbol> {
        let arguments = &call.arguments;
        let first = arguments.args.first();
        let second = arguments.args.get(1);
        let value = match name {
            "uuid.uuid4" | "uuid.uuid1" | "uuid4" => self.draw(DrawKind::Uuid),
            "random.randint" | "randint" => {
                let (from, to) = (self.eval(first?), self.eval(second?));
                self.integer(from, to, 0, call)
            }
            "random.randrange" | "randrange" => self.randrange(call),
            "random.uniform" => {
                let (from, to) = (number(&self.eval(first?)), number(&self.eval(second?)));
                match (from, to) {
                    (Some(from), Some(to)) if from < to => self.draw(DrawKind::Number(from, to)),
                    _ => self.unknown(call),
                }
            }
            "random.random" => self.draw(DrawKind::Number(0.0, 1.0)),
            "random.choice" | "choice" => {
                let list = self.eval(first?);
                self.choice(list, call)
            }
            "random.choices" | "random.sample" => {
                let list = self.eval(first?);
                let count = arguments.find_keyword("k").map(|keyword| &keyword.value).or(second);
                let count = count.map(|count| self.eval(count));
                match count {
                    None | Some(Symbol::Integer(1))
                        if arguments.find_keyword("weights").is_none() =>
                    {
                        let choice = self.choice(list, call);
                        Symbol::List(vec![choice])
                    }
                    _ => self.unknown(call),
                }
            }
            "time.time" | "time.time_ns" => {
                if name == "time.time" {
                    self.draw(DrawKind::Unix)
                } else {
                    self.unknown(call)
                }
            }
            "datetime.now"
            | "datetime.utcnow"
            | "datetime.datetime.now"
            | "datetime.datetime.utcnow"
            | "datetime.today"
            | "datetime.datetime.today" => self.draw(DrawKind::Now),
            "json.dumps" => Symbol::JsonText(Box::new(self.eval(first?))),
            "json.loads" => match self.eval(first?) {
                Symbol::Body(step) => self.json_of(step),
                _ => self.unknown(call),
            },
            "os.getenv" | "os.environ.get" | "getenv" => {
                let setting = self.eval(first?).as_literal()?.to_owned();
                match second.map(|default| self.eval(default)) {
                    Some(default) if default != Symbol::Null => {
                        let text =
                            format!("the default of the environment variable {setting} is used");
                        self.changed(call, text);
                        default
                    }
                    _ => self.draw(DrawKind::Setting(setting)),
                }
            }
            "str" => match self.eval(first?) {
                Symbol::Unknown(unknown) => Symbol::Unknown(unknown),
                value => join(value.into_pieces()),
            },
            "int" => match self.eval(first?) {
                Symbol::Float(number) => Symbol::Integer(number as i64),
                value if value.as_literal().is_some() => {
                    let number = value.as_literal().and_then(|text| text.trim().parse().ok());
                    number.map_or_else(|| self.unknown(call), Symbol::Integer)
                }
                value @ (Symbol::Integer(_) | Symbol::Json(_) | Symbol::Extracted(..)) => value,
                Symbol::Draw(draw)
                    if matches!(draw.kind, DrawKind::Integer(..) | DrawKind::Unix) =>
                {
                    Symbol::Draw(draw)
                }
                Symbol::Draw(draw) if matches!(draw.kind, DrawKind::Setting(_)) => {
                    Symbol::Draw(draw)
                }
                _ => self.unknown(call),
            },
            "float" => match self.eval(first?) {
                Symbol::Integer(number) => Symbol::Float(number as f64),
                value if value.as_literal().is_some() => {
                    let number = value.as_literal().and_then(|text| text.trim().parse().ok());
                    number.map_or_else(|| self.unknown(call), Symbol::Float)
                }
                value @ (Symbol::Float(_) | Symbol::Draw(_) | Symbol::Json(_)) => value,
                _ => self.unknown(call),
            },
            "round" => match self.eval(first?) {
                Symbol::Float(number) if second.is_none() => {
                    Symbol::Integer(number.round_ties_even() as i64)
                }
                Symbol::Draw(draw) if matches!(draw.kind, DrawKind::Number(..)) => {
                    self.changed(call, "the drawn number is not rounded");
                    Symbol::Draw(draw)
                }
                value @ Symbol::Integer(_) => value,
                _ => self.unknown(call),
            },
            "len" => match self.eval(first?) {
                Symbol::List(items) => Symbol::Integer(i64::try_from(items.len()).ok()?),
                Symbol::Json(places) | Symbol::Each(places) => Symbol::Length(places),
                Symbol::Dict(entries) => Symbol::Integer(i64::try_from(entries.len()).ok()?),
                _ => self.unknown(call),
            },
            "list" | "tuple" => self.eval(first?),
            "sorted" if arguments.keywords.is_empty() => self.sorted(call),
            "dict" if first.is_none() => {
                let mut entries = Vec::new();
                for keyword in &arguments.keywords {
                    let name = keyword.arg.as_ref()?.as_str().to_owned();
                    entries.push((name, self.eval(&keyword.value)));
                }
                Symbol::Dict(entries)
            }
            "range" => {
                let bounds: Vec<Symbol> =
                    arguments.args.iter().map(|argument| self.eval(argument)).collect();
                self.range(&bounds, call)
            }
            "open" => return Some(self.unknown_because(call, "a file is read")),
            _ => return None,
        };
        Some(value)
    }

    /// `random.randrange(stop)` or `random.randrange(start, stop, step)`.
    fn randrange(&mut self, call: &'m ExprCall) -> Symbol {
        let arguments: Vec<Symbol> =
            call.arguments.args.iter().map(|argument| self.eval(argument)).collect();
        if !call.arguments.keywords.is_empty() {
            return self.unknown(call);
        }
        match &arguments[..] {
            [to] => self.integer(Symbol::Integer(0), to.clone(), 1, call),
            [from, to] => self.integer(from.clone(), to.clone(), 1, call),
            range => match self.range(range, call) {
                Symbol::List(items) if !items.is_empty() => self.draw(DrawKind::OneOf(items)),
                unknown @ Symbol::Unknown(_) => unknown,
                _ => self.unknown(call),
            },
        }
    }

    /// `sorted` of integers or of texts.
    fn sorted(&mut self, call: &'m ExprCall) -> Symbol {
        let Some(Symbol::List(mut items)) = call.arguments.args.first().map(|list| self.eval(list))
        else {
            return self.unknown(call);
        };
        if items.iter().all(|item| matches!(item, Symbol::Integer(_))) {
            items.sort_by_key(|item| if let Symbol::Integer(number) = item { *number } else { 0 });
        } else if items.iter().all(|item| item.as_literal().is_some()) {
            items.sort_by(|left, right| left.as_literal().cmp(&right.as_literal()));
        } else {
            return self.unknown(call);
        }
        Symbol::List(items)
    }

    fn integer(&mut self, from: Symbol, to: Symbol, exclusive: i64, at: &'m ExprCall) -> Symbol {
        match (from, to) {
            (Symbol::Integer(from), Symbol::Integer(to))
                if from <= to.saturating_sub(exclusive) =>
            {
                self.draw(DrawKind::Integer(from, to - exclusive))
            }
            (unknown @ Symbol::Unknown(_), _) | (_, unknown @ Symbol::Unknown(_)) => unknown,
            _ => self.unknown(at),
        }
    }

    fn choice(&mut self, list: Symbol, at: &'m ExprCall) -> Symbol {
        match list {
            Symbol::Each(places) => Symbol::Json(places),
            Symbol::Json(places) => Symbol::Json(below(&places, "*")),
            Symbol::List(mut items) if items.len() == 1 => items.remove(0),
            Symbol::List(items) if !items.is_empty() => {
                if let Some((from, to)) = consecutive(&items) {
                    return self.draw(DrawKind::Integer(from, to));
                }
                // Ids of responses: any of them.
                let mut places = Vec::new();
                for item in &items {
                    match item {
                        Symbol::Json(more) => places.extend(more.iter().cloned()),
                        _ => return self.draw(DrawKind::OneOf(items)),
                    }
                }
                Symbol::Json(places)
            }
            // The characters of a text.
            Symbol::Text(pieces) => match &pieces[..] {
                [Piece::Literal(text)] => {
                    let characters = text.chars().map(|one| Symbol::text(one.to_string()));
                    self.draw(DrawKind::OneOf(characters.collect()))
                }
                _ => self.unknown(at),
            },
            unknown @ Symbol::Unknown(_) => unknown,
            _ => self.unknown(at),
        }
    }

    /// The JSON body of a response.
    pub fn json_of(&self, step: StepId) -> Symbol {
        Symbol::Json(vec![Place { step, pointer: String::new() }])
    }
}

fn number(value: &Symbol) -> Option<f64> {
    match value {
        Symbol::Integer(number) => Some(*number as f64),
        Symbol::Float(number) => Some(*number),
        _ => None,
    }
}

/// The first and last of integers that follow each other.
fn consecutive(items: &[Symbol]) -> Option<(i64, i64)> {
    let (Symbol::Integer(first), Symbol::Integer(last)) = (items.first()?, items.last()?) else {
        return None;
    };
    let follows = |pair: &[Symbol]| match pair {
        [Symbol::Integer(left), Symbol::Integer(right)] => left.checked_add(1) == Some(*right),
        _ => false,
    };
    (items.len() > 2 && items.windows(2).all(follows)).then_some((*first, *last))
}
