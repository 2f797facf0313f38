//! Conditions on responses as expectations: which statuses, keys and texts count as a success.

use ruff_python_ast::{BoolOp, CmpOp, Expr, ExprCompare, Stmt, StmtIf, UnaryOp};

use super::{
    symbol::{Place, StepId, Symbol},
    walk::{Flow, Walker},
};
use crate::init::draft::Shape;

/// What a response must have.
#[derive(Clone, Debug)]
enum Check {
    /// One of these statuses.
    Status(StepId, Vec<u16>),
    /// A status that is a success anyway.
    AnySuccess,
    /// An object with this key.
    Key(StepId, String),
    /// This value at this place.
    Value(Place, Symbol),
    /// This text in the body.
    Contains(StepId, Symbol),
    /// At least one element.
    NotEmpty(StepId),
    /// A limit of the response time, which is a threshold here.
    ResponseTime,
}

/// What a branch means for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The response is a failure.
    Failure,
    /// The response is a success.
    Success,
    /// The branch does something else.
    Other,
}

impl<'m> Walker<'m> {
    /// Walks an `if`.
    pub fn branch(&mut self, branch: &'m StmtIf) -> Flow {
        self.condition = Some(Vec::new());
        let flow = self.branches(branch);
        self.condition = None;
        flow
    }

    fn branches(&mut self, branch: &'m StmtIf) -> Flow {
        let mut branches: Vec<(Option<&'m Expr>, &'m [Stmt])> =
            vec![(Some(&*branch.test), &branch.body[..])];
        for clause in &branch.elif_else_clauses {
            branches.push((clause.test.as_ref(), &clause.body[..]));
        }
        // Branches whose condition is known, such as `if self.token:`.
        while let Some((Some(test), body)) = branches.first().copied() {
            match self.quiet_truth(test) {
                Some(true) => return self.statements(body),
                Some(false) => {
                    if fails_explicitly(body) {
                        self.expect_presence(test);
                    }
                    branches.remove(0);
                }
                None => break,
            }
        }
        match branches.first() {
            None => Flow::Next,
            Some((None, body)) => self.statements(body),
            Some((Some(_), _)) => self.checked_branches(&branches, branch),
        }
    }

    /// The truth of a condition, without its remarks.
    fn quiet_truth(&mut self, test: &'m Expr) -> Option<bool> {
        let remarks = self.remarks.len();
        let truth = self.truth(test);
        if truth.is_none() {
            self.remarks.truncate(remarks);
        }
        truth
    }

    /// Branches on a response: those that are a success say what is expected.
    fn checked_branches(
        &mut self,
        branches: &[(Option<&'m Expr>, &'m [Stmt])],
        at: &'m StmtIf,
    ) -> Flow {
        let meanings: Vec<Meaning> = branches.iter().map(|(_, body)| self.meaning(body)).collect();
        let has_failure = meanings.contains(&Meaning::Failure);
        let only_failures = meanings
            .iter()
            .zip(branches)
            .all(|(meaning, (test, _))| *meaning == Meaning::Failure || test.is_none());
        let mut statuses: Vec<(StepId, Vec<u16>)> = Vec::new();
        let mut accepted = Vec::new();
        for ((test, body), meaning) in branches.iter().zip(&meanings) {
            let Some(test) = test else {
                if only_failures {
                    accepted.push(*body);
                } else if *meaning == Meaning::Other && !self.is_quiet(body) {
                    self.left_out(
                        body.first().unwrap_or(&at.body[0]),
                        "what happens otherwise is not read",
                    );
                }
                continue;
            };
            let wanted = *meaning != Meaning::Failure;
            if !wanted && !only_failures {
                continue;
            }
            match self.checks(test, wanted) {
                Some(checks) => {
                    for check in checks {
                        match check {
                            Check::Status(step, more) => add_statuses(&mut statuses, step, more),
                            other => self.apply(other, test),
                        }
                    }
                    if wanted {
                        accepted.push(*body);
                    }
                }
                None => {
                    let reason = if self.is_quiet(body) && (has_failure || !wanted) {
                        "the condition is not checked"
                    } else {
                        "the condition is not read, and what depends on it is left out"
                    };
                    self.left_out(*test, reason);
                }
            }
        }
        for (step, accepted) in statuses {
            // `if status == 404: response.success()` alone accepts 404 as well.
            let alone = branches.len() == 1 && meanings == [Meaning::Success];
            if let Some(request) = self.request_mut(step) {
                if alone && request.status.is_empty() {
                    request.status = vec![200];
                }
                let earlier = std::mem::take(&mut request.status);
                request.status = if alone { earlier } else { Vec::new() };
                for status in accepted {
                    if !request.status.contains(&status) {
                        request.status.push(status);
                    }
                }
            }
        }
        for body in accepted {
            if let Flow::Return(value) = self.statements(body) {
                return Flow::Return(value);
            }
        }
        Flow::Next
    }

    /// Whether statements mark a response as a failure or a success.
    fn meaning(&self, body: &[Stmt]) -> Meaning {
        let mut meaning = Meaning::Other;
        for statement in body {
            match statement {
                Stmt::Expr(expression) => {
                    let Expr::Call(call) = &*expression.value else { continue };
                    let Expr::Attribute(attribute) = &*call.func else { continue };
                    match attribute.attr.as_str() {
                        "failure" => return Meaning::Failure,
                        "success" => meaning = Meaning::Success,
                        _ => {}
                    }
                }
                Stmt::Raise(_) => return Meaning::Failure,
                _ => {}
            }
        }
        let ends = matches!(body.last(), Some(Stmt::Return(value)) if value.value.is_none());
        if meaning == Meaning::Other && ends && self.is_quiet(body) {
            Meaning::Failure
        } else {
            meaning
        }
    }

    /// Makes a condition an expectation; returns whether it is understood.
    pub fn expect(&mut self, test: &'m Expr, wanted: bool) -> bool {
        self.condition = Some(Vec::new());
        let is_understood = self.expects(test, wanted);
        self.condition = None;
        is_understood
    }

    fn expects(&mut self, test: &'m Expr, wanted: bool) -> bool {
        if self.quiet_truth(test).is_some() {
            self.expect_presence(test);
            return true;
        }
        let Some(checks) = self.checks(test, wanted) else { return false };
        for check in checks {
            self.apply(check, test);
        }
        true
    }

    /// A value of a response that is a condition must be there: its key is expected.
    fn expect_presence(&mut self, test: &'m Expr) {
        match test {
            Expr::UnaryOp(operation) => self.expect_presence(&operation.operand),
            Expr::BoolOp(operation) => {
                operation.values.iter().for_each(|operand| self.expect_presence(operand));
            }
            _ => {
                let Symbol::Json(places) = self.eval(test) else { return };
                let [Place { step, pointer }] = &places[..] else { return };
                match pointer.strip_prefix('/') {
                    Some(key) if !key.contains(['/', '*', '~']) => {
                        self.apply(Check::Key(*step, key.to_owned()), test);
                    }
                    _ => self.left_out(test, "that the value is there is not checked"),
                }
            }
        }
    }

    fn apply(&mut self, check: Check, at: &'m Expr) {
        match check {
            Check::AnySuccess => {}
            Check::ResponseTime => {
                self.left_out(
                    at,
                    "a limit of the response time is a threshold, such as p95 < 300ms",
                );
            }
            Check::Status(step, statuses) => {
                if let Some(request) = self.request_mut(step) {
                    request.status = statuses;
                }
            }
            Check::Key(step, key) => {
                let Some(request) = self.request_mut(step) else { return };
                match &mut request.shape {
                    Some(Shape::Object(keys)) => {
                        if !keys.contains(&key) {
                            keys.push(key);
                        }
                    }
                    shape => *shape = Some(Shape::Object(vec![key])),
                }
            }
            Check::Value(place, value) => {
                if let Some(request) = self.request_mut(place.step) {
                    request.json.retain(|(pointer, _)| *pointer != place.pointer);
                    request.json.push((place.pointer, value));
                }
            }
            Check::Contains(step, text) => {
                if let Some(request) = self.request_mut(step) {
                    request.contains = Some(text);
                }
            }
            Check::NotEmpty(step) => {
                if let Some(request) = self.request_mut(step)
                    && request.shape.is_none()
                {
                    request.shape = Some(Shape::NonEmptyArray(Vec::new()));
                }
            }
        }
    }

    /// What a condition demands of responses if it must be `wanted`; `None` if it is not read.
    fn checks(&mut self, test: &'m Expr, wanted: bool) -> Option<Vec<Check>> {
        match test {
            Expr::UnaryOp(operation) if operation.op == UnaryOp::Not => {
                self.checks(&operation.operand, !wanted)
            }
            Expr::BoolOp(operation) if (operation.op == BoolOp::And) == wanted => {
                let mut all = Vec::new();
                for operand in &operation.values {
                    match self.quiet_truth(operand) {
                        Some(truth) if truth == wanted => {}
                        _ => all.extend(self.checks(operand, wanted)?),
                    }
                }
                Some(all)
            }
            // `status == 200 or status == 201`.
            Expr::BoolOp(operation) => {
                let mut statuses: Vec<(StepId, Vec<u16>)> = Vec::new();
                for operand in &operation.values {
                    match self.checks(operand, wanted)?.as_slice() {
                        [Check::Status(step, more)] => {
                            add_statuses(&mut statuses, *step, more.clone());
                        }
                        _ => return None,
                    }
                }
                match &statuses[..] {
                    [(step, all)] => Some(vec![Check::Status(*step, all.clone())]),
                    _ => None,
                }
            }
            Expr::Compare(compare) => self.comparison(compare, wanted),
            Expr::Attribute(attribute) if attribute.attr.as_str() == "ok" && wanted => {
                matches!(self.eval(&attribute.value), Symbol::Response(_))
                    .then(|| vec![Check::AnySuccess])
            }
            Expr::Call(call) => {
                let Expr::Attribute(attribute) = &*call.func else { return None };
                let owner = self.eval(&attribute.value);
                match (owner, attribute.attr.as_str()) {
                    (Symbol::Response(step), "json") if wanted => Some(vec![Check::NotEmpty(step)]),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn comparison(&mut self, compare: &'m ExprCompare, wanted: bool) -> Option<Vec<Check>> {
        // `200 <= response.status_code < 300`.
        if let ([_, _], [middle, _]) = (&compare.ops[..], &compare.comparators[..]) {
            let is_status = matches!(self.eval(middle), Symbol::Status(_));
            return (is_status && wanted).then(|| vec![Check::AnySuccess]);
        }
        let ([op], [right]) = (&compare.ops[..], &compare.comparators[..]) else { return None };
        let left = self.eval(&compare.left);
        let right = self.eval(right);
        let equal = matches!((op, wanted), (CmpOp::Eq, true) | (CmpOp::NotEq, false));
        let contained = matches!((op, wanted), (CmpOp::In, true) | (CmpOp::NotIn, false));
        let check = match (left, right) {
            (Symbol::Elapsed(_), _) => Check::ResponseTime,
            (Symbol::Status(step), Symbol::Integer(status)) if equal => {
                Check::Status(step, vec![u16::try_from(status).ok()?])
            }
            (Symbol::Integer(status), Symbol::Status(step)) if equal => {
                Check::Status(step, vec![u16::try_from(status).ok()?])
            }
            (Symbol::Status(_), Symbol::Integer(limit)) => {
                let below = matches!(
                    (op, wanted),
                    (CmpOp::Lt | CmpOp::LtE, true) | (CmpOp::Gt | CmpOp::GtE, false)
                );
                if !below || !(299..=400).contains(&limit) {
                    return None;
                }
                Check::AnySuccess
            }
            (Symbol::Status(step), Symbol::List(statuses)) if contained => {
                let mut all = Vec::new();
                for status in statuses {
                    let Symbol::Integer(status) = status else { return None };
                    all.push(u16::try_from(status).ok()?);
                }
                Check::Status(step, all)
            }
            (key, Symbol::Json(places)) if contained => match &places[..] {
                [Place { step, pointer }] if pointer.is_empty() => {
                    Check::Key(*step, key.as_literal()?.to_owned())
                }
                _ => return None,
            },
            (text @ Symbol::Text(_), Symbol::Body(step)) if contained => {
                Check::Contains(step, text)
            }
            (Symbol::Json(places), value) if equal && value.truth().is_some() => {
                match &places[..] {
                    [place] if !place.pointer.contains('*') => Check::Value(place.clone(), value),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(vec![check])
    }
}

fn add_statuses(statuses: &mut Vec<(StepId, Vec<u16>)>, step: StepId, more: Vec<u16>) {
    match statuses.iter_mut().find(|(other, _)| *other == step) {
        Some((_, all)) => {
            for status in more {
                if !all.contains(&status) {
                    all.push(status);
                }
            }
        }
        None => statuses.push((step, more)),
    }
}

/// Whether statements call `response.failure(…)`.
fn fails_explicitly(body: &[Stmt]) -> bool {
    body.iter().any(|statement| {
        let Stmt::Expr(expression) = statement else { return false };
        let Expr::Call(call) = &*expression.value else { return false };
        matches!(&*call.func, Expr::Attribute(attribute) if attribute.attr.as_str() == "failure")
    })
}
