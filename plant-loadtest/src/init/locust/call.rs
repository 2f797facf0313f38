//! Calls: requests, functions of the file, and what is known of Python's library.

use std::collections::BTreeMap;

use ruff_python_ast::{Arguments, Expr, ExprCall, StmtFunctionDef};
use ruff_text_size::Ranged;

use super::{
    symbol::{Draw, DrawKind, Piece, Symbol, Unknown, join},
    walk::{Flow, Walker},
};
use crate::init::draft::RemarkKind;

/// Functions whose call changes nothing in the load.
const WITHOUT_EFFECT: [&str; 14] = [
    "print",
    "logging.debug",
    "logging.info",
    "logging.warning",
    "logging.error",
    "logging.exception",
    "logger.debug",
    "logger.info",
    "logger.warning",
    "logger.error",
    "logger.exception",
    "log.info",
    "log.error",
    "traceback.print_exc",
];

/// Deepest calls of functions of the file in each other.
const DEEPEST_CALL: usize = 12;

impl<'m> Walker<'m> {
    /// Evaluates a call.
    pub fn call(&mut self, call: &'m ExprCall) -> Symbol {
        if let Some(method) = self.client_path(&call.func)
            && let Some(response) = self.request(&method, call)
        {
            return response;
        }
        if let Some(name) = self.own_attribute(&call.func) {
            if let Some(function) = self.method(&name) {
                return self.run(function, Some(&call.arguments), true, call);
            }
            // `rest` of FastHttpUser: a request whose response is JSON.
            if ["rest", "rest_"].contains(&name.as_str())
                && let Some(response) = self.request("request", call)
            {
                return response;
            }
            return self.unknown(call);
        }
        if let Expr::Name(name) = &*call.func
            && let Some(function) = self.module.functions.get(name.id.as_str()).copied()
        {
            return self.run(function, Some(&call.arguments), false, call);
        }
        if let Some(name) = self.module.full_name(&call.func)
            && let Some(value) = self.library(&name, call)
        {
            return value;
        }
        if let Expr::Attribute(attribute) = &*call.func {
            let owner = self.eval(&attribute.value);
            return self.method_of(owner, attribute.attr.as_str(), call);
        }
        self.unknown(call)
    }

    fn method(&self, name: &str) -> Option<&'m StmtFunctionDef> {
        self.members.iter().find_map(|members| members.method(name))
    }

    /// The value of a method that is a property.
    pub fn property(&mut self, name: &str, at: &'m Expr) -> Option<Symbol> {
        let function = self.method(name)?;
        let is_property = function.decorator_list.iter().any(|decorator| {
            let name = self.module.full_name(&decorator.expression).unwrap_or_default();
            ["property", "cached_property", "functools.cached_property"].contains(&name.as_str())
        });
        is_property.then(|| self.run(function, None, true, at))
    }

    /// Walks a function of the file in place of its call; returns its value.
    fn run(
        &mut self,
        function: &'m StmtFunctionDef,
        arguments: Option<&'m Arguments>,
        is_method: bool,
        at: &impl Ranged,
    ) -> Symbol {
        if self.locals.len() > DEEPEST_CALL {
            return self.unknown(at);
        }
        let given = arguments.map_or(&[][..], |arguments| &arguments.args[..]);
        let mut positional: Vec<Symbol> =
            given.iter().map(|argument| self.eval(argument)).collect();
        let is_static = function.decorator_list.iter().any(|decorator| {
            matches!(&decorator.expression, Expr::Name(name) if name.id.as_str() == "staticmethod")
        });
        let own = self.self_names.last().cloned().unwrap_or_default();
        let mut self_name = own.clone();
        let mut locals = BTreeMap::new();
        let mut parameters = function.parameters.iter();
        if is_method && !is_static {
            self_name = parameters.next().map_or(own, |first| first.name().as_str().to_owned());
        }
        positional.reverse();
        for parameter in parameters {
            let name = parameter.name().as_str();
            let keyword = arguments.and_then(|arguments| arguments.find_keyword(name));
            let keyword = keyword.map(|keyword| &keyword.value);
            let value = match (positional.pop(), keyword, parameter.default()) {
                (Some(value), ..) => value,
                (None, Some(keyword), _) => self.eval(keyword),
                (None, None, Some(default)) => self.eval(default),
                (None, None, None) => self.unknown(at),
            };
            locals.insert(name.to_owned(), value);
        }
        self.locals.push(locals);
        self.self_names.push(self_name);
        let value = self.deeper(at, |walker| match walker.statements(&function.body) {
            Flow::Return(value) => value,
            Flow::Next => Symbol::Null,
        });
        self.self_names.pop();
        self.locals.pop();
        value
    }

    /// Whether a call as a statement is understood, and does nothing but what is done here.
    pub fn known_effect(&mut self, call: &'m ExprCall) -> bool {
        if self.is_quiet_call(call) {
            return true;
        }
        let name = self.module.full_name(&call.func).unwrap_or_default();
        if ["time.sleep", "gevent.sleep", "sleep"].contains(&name.as_str()) {
            self.sleep(call);
            return true;
        }
        if self.own_attribute(&call.func).as_deref() == Some("wait") {
            self.wait_like_the_class();
            return true;
        }
        if self.own_attribute(&call.func).as_deref() == Some("interrupt") {
            return true;
        }
        match self.client_path(&call.func).as_deref() {
            Some("headers.update") => {
                if let Some(headers) = call.arguments.args.first() {
                    let headers = self.eval(headers);
                    self.add_client_headers(headers);
                }
                return true;
            }
            Some("headers.pop" | "cookies.clear" | "close") => return true,
            _ => {}
        }
        let Expr::Attribute(attribute) = &*call.func else { return false };
        match attribute.attr.as_str() {
            "append" | "add" => {
                let (Some(list), Some(item)) =
                    (self.own_attribute(&attribute.value), call.arguments.args.first())
                else {
                    return self.append_to_local(&attribute.value, call);
                };
                let item = self.eval(item);
                self.set_attribute(&list, Symbol::List(vec![item]));
                true
            }
            "raise_for_status" => {
                let _ = self.eval(&attribute.value);
                true
            }
            "pop" | "remove" | "clear" | "extend" | "update" | "insert"
                if self.own_attribute(&attribute.value).is_some() =>
            {
                self.left_out(call, "the change of the list is not read");
                true
            }
            _ => false,
        }
    }

    fn append_to_local(&mut self, list: &'m Expr, call: &'m ExprCall) -> bool {
        let (Expr::Name(name), Some(item)) = (list, call.arguments.args.first()) else {
            return false;
        };
        let item = self.eval(item);
        if let Symbol::List(mut items) = self.eval(list) {
            items.push(item);
            self.bind(name.id.as_str(), Symbol::List(items));
        }
        true
    }

    /// Whether a call only writes a log, or decides on a response in a way that is read elsewhere.
    pub fn is_quiet_call(&self, call: &ExprCall) -> bool {
        let name = self.module.full_name(&call.func).unwrap_or_default();
        let method = name.rsplit('.').next().unwrap_or_default();
        let is_log = name.split('.').any(|part| ["logger", "logging", "log"].contains(&part));
        WITHOUT_EFFECT.contains(&name.as_str())
            || (is_log
                && ["debug", "info", "warning", "error", "exception", "critical"].contains(&method))
            || (name.contains('.') && ["failure", "success"].contains(&method))
            || (name.starts_with("events.") && method == "fire")
    }

    fn sleep(&mut self, call: &'m ExprCall) {
        let Some(argument) = call.arguments.args.first() else { return };
        let seconds = match self.eval(argument) {
            Symbol::Integer(seconds) => Some((seconds as f64, seconds as f64)),
            Symbol::Float(seconds) => Some((seconds, seconds)),
            Symbol::Draw(Draw { kind: DrawKind::Integer(from, to), .. }) => {
                Some((from as f64, to as f64))
            }
            Symbol::Draw(Draw { kind: DrawKind::Number(from, to), .. }) => Some((from, to)),
            _ => None,
        };
        let request = self.requests.last_mut().and_then(|requests| requests.last_mut());
        match (seconds, request) {
            (Some((from, to)), Some(request)) => request.add_wait(from, to),
            (None, _) => self.left_out(call, "the duration is not read"),
            (_, None) => self.left_out(call, "a pause before the first request is not read"),
        }
    }

    fn wait_like_the_class(&mut self) {
        if let Some(request) = self.requests.last_mut().and_then(|requests| requests.last_mut()) {
            request.waits_like_the_class = true;
        }
    }

    /// The value of a function of Python's library.
    fn library(&mut self, name: &str, call: &'m ExprCall) -> Option<Symbol> {
        let arguments = &call.arguments;
        let first = arguments.args.first();
        let second = arguments.args.get(1);
        let value = match name {
            "uuid.uuid4" | "uuid.uuid1" | "uuid4" => self.draw(DrawKind::Uuid),
            "random.randint" | "randint" => {
                let (from, to) = (self.eval(first?), self.eval(second?));
                self.integer(from, to, 0, call)
            }
            "random.randrange" => match second {
                Some(second) => {
                    let (from, to) = (self.eval(first?), self.eval(second));
                    self.integer(from, to, 1, call)
                }
                None => {
                    let to = self.eval(first?);
                    self.integer(Symbol::Integer(0), to, 1, call)
                }
            },
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
                Symbol::Float(number) if second.is_none() => Symbol::Integer(number.round() as i64),
                Symbol::Draw(draw) if matches!(draw.kind, DrawKind::Number(..)) => {
                    self.changed(call, "the drawn number is not rounded");
                    Symbol::Draw(draw)
                }
                value @ (Symbol::Float(_) | Symbol::Integer(_)) => value,
                _ => self.unknown(call),
            },
            "len" => match self.eval(first?) {
                Symbol::List(items) => Symbol::Integer(i64::try_from(items.len()).ok()?),
                // Not empty: a task without a value for its variable does not run.
                Symbol::Json(_) | Symbol::Each(_) => Symbol::Integer(1),
                _ => self.unknown(call),
            },
            "list" | "tuple" | "sorted" => self.eval(first?),
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
            Symbol::Json(places) => Symbol::Json(super::symbol::below(&places, "*")),
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
    pub fn json_of(&self, step: super::symbol::StepId) -> Symbol {
        Symbol::Json(vec![super::symbol::Place { step, pointer: String::new() }])
    }

    /// The value of a method of a value.
    fn method_of(&mut self, owner: Symbol, method: &str, call: &'m ExprCall) -> Symbol {
        let arguments = &call.arguments.args;
        match (owner, method) {
            (Symbol::Response(step), "json") => self.json_of(step),
            (Symbol::Elapsed(step), "total_seconds") => Symbol::Elapsed(step),
            (owner @ (Symbol::Json(_) | Symbol::Dict(_) | Symbol::Extracted(..)), "get") => {
                let Some(key) = arguments.first() else { return self.unknown(call) };
                let key = self.eval(key);
                let is_constant = matches!(owner, Symbol::Dict(_));
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

    /// Whether the owner of a method is a constant of the module.
    fn is_constant(&self, call: &ExprCall) -> bool {
        let Expr::Attribute(attribute) = &*call.func else { return false };
        let Expr::Name(name) = &*attribute.value else { return false };
        let name = name.id.as_str();
        self.module.constants.contains_key(name)
            && self.locals.last().is_none_or(|locals| !locals.contains_key(name))
    }

    fn text_method(&mut self, pieces: &[Piece], method: &str, call: &'m ExprCall) -> Symbol {
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

    /// Adds headers that every later request of the user has.
    pub fn add_client_headers(&mut self, headers: Symbol) {
        match headers {
            Symbol::Dict(entries) => {
                for (name, value) in entries {
                    value.for_each_draw(&mut |draw| {
                        self.promoted.entry(draw.id).or_insert_with(|| name.clone());
                    });
                    self.client_headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
                    self.client_headers.push((name, value));
                }
            }
            Symbol::Unknown(Unknown { place, text }) => {
                let text = format!("headers of the client: {text}");
                self.remark(RemarkKind::LeftOut, Unknown { place, text });
            }
            _ => {}
        }
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
