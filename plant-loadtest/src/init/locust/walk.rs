//! Walks the functions of a user class in the order of their statements and records the requests.

use std::collections::BTreeMap;

use ruff_python_ast::{
    ExceptHandler, Expr, Stmt, StmtFor, StmtFunctionDef, StmtTry, StmtWith,
    visitor::{Visitor, walk_expr},
};
use ruff_text_size::{Ranged, TextRange};

use super::{
    module::{Members, Module},
    request::Request,
    status::{Statuses, accepted_by_locust},
    symbol::{DrawKind, Piece, Place, StepId, Symbol, Unknown},
};
use crate::init::{
    draft::{Remark, RemarkKind},
    names::singular,
};

/// Deepest nesting of expressions and of functions that call each other.
const DEEPEST: usize = 60;

/// Most expressions that are evaluated for one class.
const MOST_WORK: usize = 200_000;

/// Most requests of one class.
const MOST_REQUESTS: usize = 2000;

/// Most repetitions of a loop that is written out.
const LONGEST_LOOP: usize = 20;

/// What follows a statement.
pub enum Flow {
    /// The next statement.
    Next,
    /// The end of the function.
    Return(Symbol),
    /// The end of the loop.
    Break,
    /// The next pass of the loop.
    Continue,
}

/// Attributes of `self` with all values that are assigned to them.
pub type Attributes = BTreeMap<String, Vec<Symbol>>;

/// The state of a walk.
pub struct Walker<'m> {
    /// The file.
    pub module: &'m Module<'m>,
    /// Members of the class and of its task sets.
    pub members: &'m [Members<'m>],
    /// Attributes as the walk before found them.
    pub before: Attributes,
    /// Attributes that this walk found.
    pub attributes: Attributes,
    /// Headers that are set on the client itself.
    pub client_headers: Vec<(String, Symbol)>,
    /// Values of the calls with requests in the condition that is being read: it is evaluated more
    /// than once, and sends once.
    pub condition: Option<Vec<(TextRange, Symbol)>>,
    /// The response whose status made the statements run that are being walked, with the statuses.
    pub within: Option<(StepId, Statuses)>,
    /// What made the statements before run, if they ended the function.
    left_early: Option<Option<(StepId, Statuses)>>,
    /// Name for the statistics of the next requests.
    pub request_name: Option<Symbol>,
    /// Base URL that requests name.
    pub host: Option<String>,
    /// Requests of each function.
    pub requests: Vec<Vec<Request>>,
    /// Names of draws: the variable that they are first assigned to.
    pub names: BTreeMap<(usize, usize), String>,
    /// Names of fields of draws.
    pub field_names: BTreeMap<((usize, usize), String), String>,
    /// Names of places in responses: the variable that they are first assigned to.
    pub place_names: Vec<(Place, String)>,
    /// Draws that are assigned to an attribute.
    pub promoted: BTreeMap<(usize, usize), String>,
    /// What was not read.
    pub remarks: Vec<Remark>,
    /// Local variables of the functions that are being walked, the innermost last.
    pub locals: Vec<BTreeMap<String, Symbol>>,
    /// Name of the parameter that is the user, for each of these functions.
    pub self_names: Vec<String>,
    /// Values of module constants.
    pub(super) constants: BTreeMap<String, Symbol>,
    pub(super) draws: usize,
    pub(super) depth: usize,
    work: usize,
}

impl<'m> Walker<'m> {
    /// Creates a walker; `before` are the attributes that the walk before found.
    pub fn new(module: &'m Module<'m>, members: &'m [Members<'m>], before: Attributes) -> Self {
        Self {
            module,
            members,
            before,
            attributes: BTreeMap::new(),
            client_headers: Vec::new(),
            condition: None,
            within: None,
            left_early: None,
            request_name: None,
            host: None,
            requests: Vec::new(),
            names: BTreeMap::new(),
            field_names: BTreeMap::new(),
            place_names: Vec::new(),
            promoted: BTreeMap::new(),
            remarks: Vec::new(),
            locals: Vec::new(),
            self_names: Vec::new(),
            constants: BTreeMap::new(),
            draws: 0,
            depth: 0,
            work: 0,
        }
    }

    /// Walks a function that users run.
    pub fn walk(&mut self, function: &'m StmtFunctionDef) {
        self.requests.push(Vec::new());
        self.request_name = None;
        self.draws = 0;
        let parameters: Vec<&str> =
            function.parameters.iter().map(|parameter| parameter.name().as_str()).collect();
        self.locals.push(BTreeMap::new());
        self.self_names.push((*parameters.first().unwrap_or(&"self")).to_owned());
        let _ = self.statements(&function.body);
        self.self_names.pop();
        self.locals.pop();
    }

    /// Walks statements until one of them ends the function.
    pub fn statements(&mut self, statements: &'m [Stmt]) -> Flow {
        let condition = self.condition.take();
        let flow = self.each_statement(statements);
        self.condition = condition;
        flow
    }

    fn each_statement(&mut self, statements: &'m [Stmt]) -> Flow {
        for (number, statement) in statements.iter().enumerate() {
            if self.depth >= DEEPEST {
                self.left_out(statement, "nested too deeply");
                return Flow::Next;
            }
            self.depth += 1;
            let flow = self.statement(statement);
            self.depth -= 1;
            if let Flow::Next = flow {
                continue;
            }
            if let Some(within) = self.left_early.take() {
                self.note_the_rest(&statements[number + 1..], within);
            }
            return flow;
        }
        Flow::Next
    }

    /// The statements after a condition that ended the function for a healthy service.
    fn note_the_rest(&mut self, rest: &'m [Stmt], within: Option<(StepId, Statuses)>) {
        if let Some(first) = rest.first()
            && !self.is_quiet(rest)
        {
            self.left_out(first, "runs only if the condition above does not hold");
        }
        if fails_explicitly(rest)
            && let Some((step, statuses)) = within
            && let Some(request) = self.request_mut(step)
        {
            let accepted = request.accepted.get_or_insert_with(accepted_by_locust);
            *accepted = &*accepted & &statuses;
        }
    }

    /// Notes that statements which run with these statuses end the function.
    pub fn leave_early(&mut self, within: Option<(StepId, Statuses)>) {
        self.left_early = Some(within);
    }

    fn statement(&mut self, statement: &'m Stmt) -> Flow {
        match statement {
            Stmt::Expr(expression) => self.effect(&expression.value),
            Stmt::Assign(assign) => {
                let value = self.eval(&assign.value);
                for target in &assign.targets {
                    self.assign(target, value.clone());
                }
            }
            Stmt::AnnAssign(assign) => {
                if let Some(value) = &assign.value {
                    let value = self.eval(value);
                    self.assign(&assign.target, value);
                }
            }
            Stmt::AugAssign(assign) => {
                let _ = self.eval(&assign.value);
                let value = self.unknown(statement);
                self.assign(&assign.target, value);
            }
            Stmt::Return(value) => {
                let value = value.value.as_ref();
                return Flow::Return(value.map_or(Symbol::Null, |value| self.eval(value)));
            }
            Stmt::If(branch) => return self.branch(branch),
            Stmt::With(with) => return self.with(with),
            Stmt::For(repeat) => return self.repeat(repeat),
            Stmt::Try(attempt) => return self.attempt(attempt),
            Stmt::Assert(assert) if self.expect(&assert.test, true) => {}
            Stmt::Assert(_) => self.left_out(statement, "the condition is not read"),
            Stmt::Raise(_) => {
                self.left_out(statement, "stops the user or the task");
                return Flow::Return(Symbol::Null);
            }
            Stmt::While(_) | Stmt::Match(_) | Stmt::Delete(_) => {
                self.left_out(statement, "is not read");
                self.forget(std::slice::from_ref(statement));
            }
            Stmt::Break(_) => return Flow::Break,
            Stmt::Continue(_) => return Flow::Continue,
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {
                self.left_out(statement, "a definition inside a function is not read");
            }
            _ => {}
        }
        Flow::Next
    }

    /// Evaluates an expression for what it does.
    fn effect(&mut self, expression: &'m Expr) {
        if matches!(expression, Expr::StringLiteral(_) | Expr::EllipsisLiteral(_)) {
            return;
        }
        if let Expr::Call(call) = expression
            && self.known_effect(call)
        {
            return;
        }
        let sent = self.sent();
        let value = self.eval(expression);
        if let Symbol::Unknown(unknown) = value
            && self.sent() == sent
        {
            self.remark(RemarkKind::LeftOut, unknown);
        }
    }

    /// Number of requests of the function that is being walked.
    pub fn sent(&self) -> usize {
        self.requests.last().map_or(0, Vec::len)
    }

    /// The request with this id, if it belongs to the function that is being walked.
    pub fn request_mut(&mut self, id: StepId) -> Option<&mut Request> {
        self.requests.get_mut(id.function)?.get_mut(id.step)
    }

    /// Adds a request to the function that is being walked.
    pub fn send(&mut self, request: Request) -> Symbol {
        let function = self.requests.len().saturating_sub(1);
        let total: usize = self.requests.iter().map(Vec::len).sum();
        match self.requests.last_mut() {
            Some(requests) if total < MOST_REQUESTS => {
                requests.push(request);
                Symbol::Response(StepId { function, step: requests.len() - 1 })
            }
            _ => {
                let text = format!("more than {MOST_REQUESTS} requests");
                Symbol::Unknown(Unknown { place: request.place, text })
            }
        }
    }

    fn assign(&mut self, target: &'m Expr, value: Symbol) {
        match target {
            Expr::Name(name) => self.bind(name.id.as_str(), value),
            Expr::Attribute(_) => {
                if let Some(attribute) = self.own_attribute(target) {
                    self.set_attribute(&attribute, value);
                } else if self.client_path(target).as_deref() == Some("headers") {
                    self.add_client_headers(value);
                } else if self.client_path(target).as_deref() == Some("request_name") {
                    self.request_name = Some(value).filter(|name| *name != Symbol::Null);
                } else if self.client_path(target).is_some() {
                    self.left_out(target, "a setting of the client is not read");
                }
            }
            Expr::Subscript(subscript) => {
                if self.client_path(&subscript.value).as_deref() == Some("headers") {
                    let name = self.eval(&subscript.slice);
                    if let Some(name) = name.as_literal() {
                        self.add_client_headers(Symbol::Dict(vec![(name.to_owned(), value)]));
                        return;
                    }
                }
                let key = self.eval(&subscript.slice);
                self.set_entry(&subscript.value, &key, value);
            }
            Expr::Tuple(tuple) => self.unpack(&tuple.elts, value),
            Expr::List(list) => self.unpack(&list.elts, value),
            _ => {}
        }
    }

    fn unpack(&mut self, targets: &'m [Expr], value: Symbol) {
        match value {
            Symbol::List(items) if items.len() == targets.len() => {
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item);
                }
            }
            value => {
                for (position, target) in targets.iter().enumerate() {
                    let item = self.index(value.clone(), &Symbol::Integer(position as i64), target);
                    self.assign(target, item);
                }
            }
        }
    }

    /// Sets an entry of a dictionary that is a local variable or an attribute.
    fn set_entry(&mut self, owner: &'m Expr, key: &Symbol, value: Symbol) {
        let current = self.eval(owner);
        let (Symbol::Dict(mut entries), Some(key)) = (current, key.as_literal()) else {
            let unknown = self.unknown(owner);
            self.assign(owner, unknown);
            return;
        };
        entries.retain(|(name, _)| name != key);
        entries.push((key.to_owned(), value));
        match self.own_attribute(owner) {
            // The dictionary itself changes, so that it replaces what was assigned before.
            Some(attribute) => {
                self.attributes.insert(attribute, vec![Symbol::Dict(entries)]);
            }
            None => self.assign(owner, Symbol::Dict(entries)),
        }
    }

    /// Binds a local variable.
    pub fn bind(&mut self, name: &str, value: Symbol) {
        let value = self.as_one_value(value);
        self.note_name(name, &value);
        if let Some(locals) = self.locals.last_mut() {
            locals.insert(name.to_owned(), value);
        }
    }

    /// Adds a value of an attribute.
    pub fn set_attribute(&mut self, name: &str, value: Symbol) {
        let value = self.as_one_value(value);
        self.note_name(name, &value);
        let Self { promoted, .. } = self;
        value.for_each_draw(&mut |draw| {
            promoted.entry(draw.id).or_insert_with(|| name.to_owned());
        });
        let values = self.attributes.entry(name.to_owned()).or_default();
        if !values.contains(&value) && values.len() < 100 {
            values.push(value);
        }
    }

    /// A text with generated values as one generated value, so that it gets one variable.
    fn as_one_value(&mut self, value: Symbol) -> Symbol {
        match value {
            Symbol::Text(pieces) if pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))) => {
                let kind = DrawKind::Template(pieces);
                match (kind.template(), kind) {
                    (None, DrawKind::Template(pieces)) => Symbol::Text(pieces),
                    (_, kind) => self.draw(kind),
                }
            }
            other => other,
        }
    }

    /// Notes the name of the variable for a draw or for places in responses.
    fn note_name(&mut self, name: &str, value: &Symbol) {
        let (places, name) = match value {
            Symbol::Draw(draw) => {
                self.names.entry(draw.id).or_insert_with(|| name.to_owned());
                return;
            }
            Symbol::Field(draw, key) => {
                let field = (draw.id, key.clone());
                self.field_names.entry(field).or_insert_with(|| name.to_owned());
                return;
            }
            Symbol::Json(places) => (&places[..], name.to_owned()),
            Symbol::Each(places) => (&places[..], singular(name)),
            Symbol::List(items) => match &items[..] {
                [Symbol::Json(places)] => (&places[..], singular(name)),
                _ => return,
            },
            _ => return,
        };
        for place in places.iter().filter(|place| !place.pointer.is_empty()) {
            if !self.place_names.iter().any(|(known, _)| known == place) {
                self.place_names.push((place.clone(), name.clone()));
            }
        }
    }

    fn with(&mut self, with: &'m StmtWith) -> Flow {
        let before = self.request_name.clone();
        let flow = self.with_items(with);
        self.request_name = before;
        flow
    }

    fn with_items(&mut self, with: &'m StmtWith) -> Flow {
        for item in &with.items {
            if let Expr::Call(call) = &item.context_expr
                && self.client_path(&call.func).as_deref() == Some("rename_request")
            {
                self.request_name = call.arguments.args.first().map(|name| self.eval(name));
                continue;
            }
            let value = self.eval(&item.context_expr);
            if let Symbol::Unknown(unknown) = &value {
                self.remark(RemarkKind::LeftOut, unknown.clone());
            }
            if let Some(target) = &item.optional_vars {
                self.assign(target, value);
            }
        }
        self.statements(&with.body)
    }

    /// A loop over a few constants is written out.
    fn repeat(&mut self, repeat: &'m StmtFor) -> Flow {
        let items = match self.eval(&repeat.iter) {
            Symbol::List(items) if items.len() <= LONGEST_LOOP => items,
            _ => {
                self.left_out(repeat, "the number of repetitions is not constant or too large");
                self.forget(&repeat.body);
                return Flow::Next;
            }
        };
        for item in items {
            self.assign(&repeat.target, item);
            match self.statements(&repeat.body) {
                Flow::Next | Flow::Continue => {}
                Flow::Break => return Flow::Next,
                returned @ Flow::Return(_) => return returned,
            }
        }
        self.statements(&repeat.orelse)
    }

    fn attempt(&mut self, attempt: &'m StmtTry) -> Flow {
        let flow = self.statements(&attempt.body);
        for handler in &attempt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            if !self.is_quiet(&handler.body) {
                self.left_out(handler, "what happens after an exception is not read");
            }
        }
        let flow = match flow {
            Flow::Next => self.statements(&attempt.orelse),
            ended => ended,
        };
        match self.statements(&attempt.finalbody) {
            Flow::Next => flow,
            ended => ended,
        }
    }

    /// Whether statements neither send a request nor set anything: they log, fail or end.
    pub fn is_quiet(&self, statements: &[Stmt]) -> bool {
        statements.iter().all(|statement| match statement {
            Stmt::Pass(_)
            | Stmt::Return(_)
            | Stmt::Raise(_)
            | Stmt::Continue(_)
            | Stmt::Break(_) => true,
            Stmt::Expr(expression) => match &*expression.value {
                Expr::Call(call) => self.is_quiet_call(call),
                other => matches!(other, Expr::StringLiteral(_) | Expr::EllipsisLiteral(_)),
            },
            Stmt::If(branch) => {
                let others = branch.elif_else_clauses.iter();
                self.is_quiet(&branch.body)
                    && others.map(|clause| &clause.body).all(|body| self.is_quiet(body))
            }
            // `self.token = None` after a failed login.
            Stmt::Assign(assign) => matches!(&*assign.value, Expr::NoneLiteral(_)),
            _ => false,
        })
    }

    /// Makes what statements assign unknown, because they are not walked.
    pub fn forget(&mut self, statements: &'m [Stmt]) {
        let mut assigned = Assigned::default();
        assigned.visit_body(statements);
        for target in assigned.targets {
            let unknown = self.unknown_because(
                target,
                format!("`{}` depends on what is not read", self.module.source.snippet(target)),
            );
            self.assign(target, unknown);
        }
    }

    /// Runs `evaluate` one level deeper; gives up below the deepest.
    pub fn deeper(
        &mut self,
        at: &impl Ranged,
        evaluate: impl FnOnce(&mut Self) -> Symbol,
    ) -> Symbol {
        self.work += 1;
        if self.depth >= DEEPEST || self.work > MOST_WORK {
            return self.unknown(at);
        }
        self.depth += 1;
        let value = evaluate(self);
        self.depth -= 1;
        if value.is_bounded() { value } else { self.unknown(at) }
    }

    /// The value of something that cannot be read.
    pub fn unknown(&self, at: &impl Ranged) -> Symbol {
        self.unknown_because(at, format!("`{}` is not read", self.module.source.snippet(at)))
    }

    /// The value of something that cannot be read, with the reason.
    pub fn unknown_because(&self, at: &impl Ranged, text: impl Into<String>) -> Symbol {
        Symbol::Unknown(Unknown { place: self.module.source.place(at), text: text.into() })
    }

    /// Adds a remark on something that was left out.
    pub fn left_out(&mut self, at: &impl Ranged, reason: &str) {
        let text = format!("`{}`: {reason}", self.module.source.snippet(at));
        let place = self.module.source.place(at);
        self.remark(RemarkKind::LeftOut, Unknown { place, text });
    }

    /// Adds a remark on something that is not quite the same.
    pub fn changed(&mut self, at: &impl Ranged, text: impl Into<String>) {
        let place = self.module.source.place(at);
        self.remark(RemarkKind::Changed, Unknown { place, text: text.into() });
    }

    /// Adds a remark once.
    pub fn remark(&mut self, kind: RemarkKind, unknown: Unknown) {
        let Unknown { place, text } = unknown;
        let remark = Remark { kind, place, text };
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// Whether statements call `response.failure(…)`.
pub fn fails_explicitly(body: &[Stmt]) -> bool {
    body.iter().any(|statement| {
        let Stmt::Expr(expression) = statement else { return false };
        let Expr::Call(call) = &*expression.value else { return false };
        matches!(&*call.func, Expr::Attribute(attribute) if attribute.attr.as_str() == "failure")
    })
}

/// Variables and attributes that statements assign.
#[derive(Default)]
struct Assigned<'m> {
    targets: Vec<&'m Expr>,
}

impl<'m> Visitor<'m> for Assigned<'m> {
    fn visit_expr(&mut self, expression: &'m Expr) {
        let context = match expression {
            Expr::Name(name) => Some(name.ctx),
            Expr::Attribute(attribute) => Some(attribute.ctx),
            _ => None,
        };
        if context.is_some_and(|context| context.is_store()) {
            self.targets.push(expression);
        }
        walk_expr(self, expression);
    }
}
