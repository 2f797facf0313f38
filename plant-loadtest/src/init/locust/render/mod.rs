//! Requests of a walk as steps of a draft: placeholders for what is drawn, extractions for what
//! comes from responses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

mod variables;

use super::{
    class::Unit,
    request::{Request, RequestBody},
    status,
    symbol::{Piece, Place, Symbol, Unknown},
    walk::Walker,
};
use crate::{
    init::{
        draft::{Body, Expect, Feed, Part, Remark, RemarkKind, Step, Variable, Wait},
        value::Value,
    },
    placeholder::{FILL_IN, escape},
};

/// Identity of a draw.
type DrawId = (usize, usize);

/// Renders the requests of one class.
pub struct Renderer<'a, 'm> {
    walker: &'a Walker<'m>,
    units: &'a [Unit<'m>],
    /// For each function the first one of its task: the steps of a sequence share their variables.
    tasks: Vec<usize>,
    wait: Option<Wait>,
    uses: BTreeMap<DrawId, usize>,
    fields: BTreeMap<DrawId, BTreeSet<String>>,
    placeholders: BTreeMap<(DrawId, String), String>,
    /// Names that are taken, with the task that they belong to, if it is only one.
    taken: Vec<(String, Option<usize>)>,
    extractions: Vec<Extraction>,
    /// File and line of the request at hand.
    place: String,
    /// What of the request at hand cannot be read.
    problems: Vec<Unknown>,
    /// Variables of the class.
    pub class_variables: Vec<(String, Variable)>,
    /// Rows of which each user takes one.
    pub class_feed: Option<Feed>,
    /// Rows of which each run of a function takes one.
    pub task_feeds: Vec<Option<Feed>>,
    /// Variables of each function.
    pub task_variables: Vec<Vec<(String, Variable)>>,
    /// Remarks.
    pub remarks: Vec<Remark>,
}

struct Extraction {
    name: String,
    places: Vec<Place>,
}

impl<'a, 'm> Renderer<'a, 'm> {
    /// Creates a renderer for the requests of `walker`. `wait` is the think time of the class.
    pub fn new(walker: &'a Walker<'m>, units: &'a [Unit<'m>], wait: Option<Wait>) -> Self {
        let mut renderer = Self {
            walker,
            units,
            tasks: first_of_tasks(units),
            wait,
            uses: BTreeMap::new(),
            fields: BTreeMap::new(),
            placeholders: BTreeMap::new(),
            taken: Vec::new(),
            extractions: Vec::new(),
            place: String::new(),
            problems: Vec::new(),
            class_variables: Vec::new(),
            class_feed: None,
            task_feeds: vec![None; units.len()],
            task_variables: vec![Vec::new(); units.len()],
            remarks: Vec::new(),
        };
        for request in walker.requests.iter().flatten() {
            renderer.count_uses(request);
        }
        for (_, value) in &walker.client_headers {
            renderer.count(value);
        }
        renderer
    }

    fn count_uses(&mut self, request: &Request) {
        let url = Symbol::Text(request.url.clone());
        self.count(&url);
        let pairs = request.query.iter().chain(&request.headers).chain(&request.json);
        pairs.for_each(|(_, value)| self.count(value));
        if let Some(text) = &request.contains {
            self.count(text);
        }
        match &request.body {
            RequestBody::None => {}
            RequestBody::Json(value) | RequestBody::Text(value) => self.count(value),
            RequestBody::Form(fields) | RequestBody::Multipart { fields, .. } => {
                fields.iter().for_each(|(_, value)| self.count(value));
            }
        }
    }

    fn count(&mut self, value: &Symbol) {
        let Self { uses, fields, .. } = self;
        value.for_each_draw(&mut |draw| *uses.entry(draw.id).or_default() += 1);
        collect_fields(value, fields);
    }

    /// The steps of all functions, with what they extract.
    pub fn steps(&mut self) -> Vec<Vec<Step>> {
        let walker = self.walker;
        let mut steps: Vec<Vec<Step>> = Vec::new();
        for (function, requests) in walker.requests.iter().enumerate() {
            let of_function = requests.iter().map(|request| self.step(function, request));
            steps.push(of_function.collect());
        }
        for extraction in &self.extractions {
            for place in &extraction.places {
                let step = steps.get_mut(place.step.function);
                if let Some(step) = step.and_then(|steps| steps.get_mut(place.step.step))
                    && !step.extract.iter().any(|(name, _)| *name == extraction.name)
                {
                    step.extract.push((extraction.name.clone(), place.pointer.clone()));
                }
            }
        }
        steps
    }

    /// Headers that are set on the client.
    pub fn class_headers(&mut self) -> Vec<(String, String)> {
        let walker = self.walker;
        let mut headers = Vec::new();
        for (name, value) in &walker.client_headers {
            match self.text(None, value, name) {
                Ok(text) => headers.push((name.clone(), text)),
                Err(unknown) => self.remarks.push(unknown.into()),
            }
        }
        headers
    }

    fn step(&mut self, function: usize, request: &Request) -> Step {
        let mut problems = request.problems.clone();
        self.place.clone_from(&request.place);
        let mut step = Step { method: request.method.clone(), ..Step::default() };
        step.path = self.path(function, &request.url, &mut problems);
        step.name = self.step_name(request, &step);
        let mut value = |renderer: &mut Self, name: &str, value: &Symbol| {
            renderer.value(Some(function), value, name).unwrap_or_else(|unknown| {
                problems.push(unknown);
                FILL_IN.into()
            })
        };
        let mut fields = |renderer: &mut Self, symbols: &[(String, Symbol)]| {
            let mut fields = Vec::new();
            for (name, symbol) in symbols {
                add_fields(name, value(renderer, name, symbol), &mut fields);
            }
            fields
        };
        let query = fields(self, &request.query);
        let form = match &request.body {
            RequestBody::Form(symbols) | RequestBody::Multipart { fields: symbols, .. } => {
                fields(self, symbols)
            }
            _ => Vec::new(),
        };
        step.set_query(query);
        step.body = match &request.body {
            RequestBody::None => Body::None,
            RequestBody::Json(json) => Body::Json(value(self, "body", json)),
            RequestBody::Form(_) => Body::form(form).unwrap_or_else(|reason| {
                self.problems.push(Unknown { place: String::new(), text: reason });
                Body::None
            }),
            RequestBody::Text(text) => Body::Text {
                text: value(self, "body", text).plain(),
                content_type: request.content_type.clone().unwrap_or_else(|| "text/plain".into()),
            },
            RequestBody::Multipart { files, .. } => self.multipart(form, files),
        };
        for (name, symbol) in &request.headers {
            step.headers.push((name.clone(), value(self, name, symbol).plain()));
        }
        // Expectations are no templates.
        let mut json = Vec::new();
        for (pointer, symbol) in &request.json {
            match literal(symbol) {
                Some(value) => json.push((pointer.clone(), value)),
                None => self
                    .problems
                    .push(self.unknown(pointer, "is compared with a value that is not constant")),
            }
        }
        let contains = request.contains.as_ref().and_then(|text| match literal(text) {
            Some(text) => Some(text.plain()),
            None => {
                self.problems
                    .push(self.unknown("the body", "is compared with a text that is not constant"));
                None
            }
        });
        let status = self.statuses(request);
        step.expect = Expect { status, shape: request.shape.clone(), json, contains };
        step.wait = self.step_wait(request);
        problems.append(&mut self.problems);
        for problem in problems.iter_mut().filter(|problem| problem.place.is_empty()) {
            problem.place.clone_from(&request.place);
        }
        if let Some(problem) = problems.first() {
            step.disabled = Some(problem.text.clone());
        } else if let RequestBody::Multipart { files, .. } = &request.body
            && let Some((_, file, _)) = files.first()
        {
            // A profile with a file that is missing is not valid.
            step.disabled =
                Some(format!("put the file {file} beside the profile, and remove the #"));
        }
        self.remarks.extend(problems.into_iter().map(Remark::from));
        step
    }

    /// The name of the endpoint, if it is not the method and the path.
    fn step_name(&mut self, request: &Request, step: &Step) -> Option<String> {
        let name = request.name.as_ref().filter(|name| **name != Symbol::Null)?;
        let Some(name) = name.as_literal() else {
            let text = "its name in the statistics is not constant; its path is used";
            self.changed(text);
            return None;
        };
        let name = format!("{} {name}", request.method);
        (name != step.endpoint()).then_some(name)
    }

    /// Adds a remark on something of the request at hand that is not quite the same.
    pub(super) fn changed(&mut self, text: impl Into<String>) {
        let (place, text) = (self.place.clone(), text.into());
        self.remarks.push(Remark { kind: RemarkKind::Changed, place, text });
    }

    fn multipart(
        &mut self,
        fields: Vec<(String, Value)>,
        files: &[(String, String, String)],
    ) -> Body {
        let mut parts: Vec<(String, Part)> = Vec::new();
        let texts = fields.into_iter().map(|(name, value)| (name, Part::Text(value.plain())));
        let files = files.iter().map(|(name, file, content_type)| {
            let (file, content_type) = (file.clone(), content_type.clone());
            (name.clone(), Part::File { file, content_type })
        });
        for (name, part) in texts.chain(files) {
            if parts.iter().any(|(other, _)| *other == name) {
                self.problems.push(self.unknown(&name, "is sent twice in a multipart body"));
            } else {
                parts.push((name, part));
            }
        }
        Body::Multipart(parts)
    }

    /// The statuses that are expected; empty for 200 to 299.
    fn statuses(&mut self, request: &Request) -> Vec<u16> {
        let Some(accepted) = &request.accepted else { return Vec::new() };
        if let Some(statuses) = status::expected(accepted) {
            return statuses;
        }
        if accepted.range(200..300).next().is_none() {
            self.problems.push(self.unknown("status", "of no response counts as a success"));
        } else {
            let text =
                "more statuses count as a success than a profile lists; it expects 200 to 299";
            self.changed(text);
        }
        Vec::new()
    }

    fn step_wait(&self, request: &Request) -> Option<Wait> {
        let (mut from, mut to) = request.wait.unwrap_or((0.0, 0.0));
        if let (true, Some(wait)) = (request.waits_like_the_class, self.wait) {
            from += wait.from.as_secs_f64();
            to += wait.to.as_secs_f64();
        }
        let duration = |seconds: f64| {
            Duration::try_from_secs_f64((seconds * 1000.0).round() / 1000.0).unwrap_or_default()
        };
        (to > 0.0).then(|| Wait { from: duration(from), to: duration(to) })
    }

    fn path(&mut self, function: usize, pieces: &[Piece], problems: &mut Vec<Unknown>) -> String {
        let mut path = String::new();
        for piece in pieces {
            let value = match piece {
                Piece::Literal(text) => {
                    path.push_str(&escape(text));
                    continue;
                }
                Piece::Hole(Symbol::Unknown(unknown)) => Err(unknown.clone()),
                // Slashes of a value are percent-encoded.
                Piece::Hole(_) if path.is_empty() => {
                    Err(self.unknown("the path", "is not constant: write one task for each path"))
                }
                Piece::Hole(value) => self.text(Some(function), value, "id"),
            };
            path.push_str(&value.unwrap_or_else(|unknown| {
                problems.push(unknown);
                FILL_IN.replace(' ', "-")
            }));
        }
        if path.starts_with('/') { path } else { format!("/{path}") }
    }

    fn text(
        &mut self,
        function: Option<usize>,
        value: &Symbol,
        name: &str,
    ) -> Result<String, Unknown> {
        Ok(self.value(function, value, name)?.plain())
    }

    /// The value of a symbol; `name` names it if nothing better does.
    fn value(
        &mut self,
        function: Option<usize>,
        symbol: &Symbol,
        name: &str,
    ) -> Result<Value, Unknown> {
        Ok(match symbol {
            Symbol::Null => Value::Null,
            Symbol::Bool(value) => Value::Bool(*value),
            Symbol::Integer(number) => Value::Integer(*number),
            Symbol::Float(number) => Value::Float(*number),
            Symbol::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(&escape(literal)),
                        Piece::Hole(hole) => text.push_str(&self.text(function, hole, name)?),
                    }
                }
                Value::Text(text)
            }
            Symbol::List(items) => {
                Value::List(items.iter().map(|item| self.part(function, item, name)).collect())
            }
            Symbol::Dict(entries) => {
                let entries = entries.iter();
                let entries =
                    entries.map(|(key, value)| (key.clone(), self.part(function, value, key)));
                Value::Table(entries.collect())
            }
            Symbol::JsonText(json) => Value::Text(self.value(function, json, name)?.to_json()),
            Symbol::Draw(draw) => Value::Text(self.draw(function, draw, None, name)?),
            Symbol::Field(draw, key) => Value::Text(self.draw(function, draw, Some(key), name)?),
            Symbol::Json(places) => Value::Text(self.extraction(places)?),
            Symbol::Extracted(step, place) if !place.ends_with(':') => {
                let place = Place { step: *step, pointer: place.clone() };
                Value::Text(self.extraction(&[place])?)
            }
            Symbol::Unknown(unknown) => return Err(unknown.clone()),
            _ => {
                return Err(
                    self.unknown(name, "is a response or a part of one that cannot be sent")
                );
            }
        })
    }

    /// The value of an item or an entry; what cannot be read does not spoil the rest.
    fn part(&mut self, function: Option<usize>, symbol: &Symbol, name: &str) -> Value {
        self.value(function, symbol, name).unwrap_or_else(|unknown| {
            self.problems.push(unknown);
            FILL_IN.into()
        })
    }

    fn unknown(&self, name: &str, text: &str) -> Unknown {
        Unknown { place: String::new(), text: format!("`{name}` {text}") }
    }
}

/// For each function the number of the first one of its task.
fn first_of_tasks(units: &[Unit<'_>]) -> Vec<usize> {
    let mut firsts: Vec<usize> = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        let continues =
            unit.sequence.is_some() && number > 0 && units[number - 1].sequence == unit.sequence;
        firsts.push(if continues { firsts[number - 1] } else { number });
    }
    firsts
}

fn collect_fields(value: &Symbol, fields: &mut BTreeMap<DrawId, BTreeSet<String>>) {
    match value {
        Symbol::Field(draw, key) => {
            fields.entry(draw.id).or_default().insert(key.clone());
        }
        Symbol::Draw(draw) => {
            fields.entry(draw.id).or_default().insert(String::new());
        }
        Symbol::Text(pieces) => {
            for piece in pieces {
                if let Piece::Hole(value) = piece {
                    collect_fields(value, fields);
                }
            }
        }
        Symbol::List(items) => items.iter().for_each(|item| collect_fields(item, fields)),
        Symbol::Dict(entries) => {
            entries.iter().for_each(|(_, value)| collect_fields(value, fields));
        }
        Symbol::JsonText(value) => collect_fields(value, fields),
        _ => {}
    }
}

/// The value of a constant.
fn literal(symbol: &Symbol) -> Option<Value> {
    Some(match symbol {
        Symbol::Bool(value) => Value::Bool(*value),
        Symbol::Integer(number) => Value::Integer(*number),
        Symbol::Float(number) => Value::Float(*number),
        text => Value::Text(text.as_literal()?.to_owned()),
    })
}

/// Adds the fields that a value of a query or a form becomes in Python: each item of a list, each key
/// of a dictionary, and nothing for `None`.
fn add_fields(name: &str, value: Value, fields: &mut Vec<(String, Value)>) {
    let mut add = |value| match value {
        Value::Null => {}
        Value::Bool(true) => fields.push((name.to_owned(), "True".into())),
        Value::Bool(false) => fields.push((name.to_owned(), "False".into())),
        Value::List(_) | Value::Table(_) => fields.push((name.to_owned(), value.to_json().into())),
        value => fields.push((name.to_owned(), value)),
    };
    match value {
        Value::List(items) => items.into_iter().for_each(add),
        Value::Table(entries) => entries.into_iter().for_each(|(key, _)| add(key.into())),
        value => add(value),
    }
}
