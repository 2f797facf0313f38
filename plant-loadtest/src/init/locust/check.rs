//! Conditions on responses as expectations: which statuses, keys and texts count as a success.

use ruff_python_ast::{BoolOp, CmpOp, Expr, ExprCompare, UnaryOp};

use super::{
    status::{self, Statuses},
    symbol::{Place, StepId, Symbol},
    walk::Walker,
};
use crate::init::draft::Shape;

/// What a response must have.
#[derive(Clone, Debug)]
pub enum Check {
    /// One of these statuses.
    Status(StepId, Statuses),
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

impl Check {
    /// The request whose response is checked.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::Status(step, _)
            | Self::Key(step, _)
            | Self::Contains(step, _)
            | Self::NotEmpty(step) => Some(*step),
            Self::Value(place, _) => Some(place.step),
            Self::ResponseTime => None,
        }
    }
}

/// The statuses of one response, if nothing else is checked.
pub fn status_of(checks: &[Check]) -> Option<(StepId, Statuses)> {
    let mut found: Option<(StepId, Statuses)> = None;
    for check in checks {
        let Check::Status(step, statuses) = check else { return None };
        found = match found {
            None => Some((*step, statuses.clone())),
            Some((other, earlier)) if other == *step => Some((other, &earlier & statuses)),
            Some(_) => return None,
        };
    }
    found
}

impl<'m> Walker<'m> {
    /// The truth of a condition, without its remarks.
    pub(super) fn quiet_truth(&mut self, test: &'m Expr) -> Option<bool> {
        let remarks = self.remarks.len();
        let truth = self.truth(test);
        if truth.is_none() {
            self.remarks.truncate(remarks);
        }
        truth
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
    pub(super) fn expect_presence(&mut self, test: &'m Expr) {
        match test {
            Expr::UnaryOp(operation) => self.expect_presence(&operation.operand),
            Expr::BoolOp(operation) => {
                operation.values.iter().for_each(|operand| self.expect_presence(operand));
            }
            Expr::Compare(compare) => self.expect_element(&compare.left, test),
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

    /// A list whose length is compared must have an element.
    fn expect_element(&mut self, length: &'m Expr, test: &'m Expr) {
        let Symbol::Length(places) = self.eval(length) else { return };
        match &places[..] {
            [place] if place.pointer.is_empty() => {
                self.apply(Check::NotEmpty(place.step), test);
            }
            _ => self.left_out(test, "that there is an element is not checked"),
        }
    }

    pub(super) fn apply(&mut self, check: Check, at: &'m Expr) {
        if let Some(step) = check.step() {
            let is_status = matches!(check, Check::Status(..));
            if !is_status && !self.is_about_all(step) {
                self.left_out(at, "the condition is not checked: it depends on the status");
                return;
            }
            if let Some(request) = self.request_mut(step) {
                request.is_judged = true;
            }
        }
        match check {
            Check::ResponseTime => {
                self.left_out(
                    at,
                    "a limit of the response time is a threshold, such as p95 < 300ms",
                );
            }
            Check::Status(step, statuses) => {
                let mut failed = status::others(&statuses);
                if let Some((_, within)) = self.within.as_ref().filter(|(of, _)| *of == step) {
                    failed = &failed & within;
                }
                if let Some(request) = self.request_mut(step) {
                    let accepted = request.accepted.get_or_insert_with(status::accepted_by_locust);
                    *accepted = &*accepted - &failed;
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

    /// Whether the statements that are being walked run with all statuses of a response that count as
    /// a success.
    fn is_about_all(&mut self, step: StepId) -> bool {
        let Some((_, within)) = self.within.clone().filter(|(of, _)| *of == step) else {
            return true;
        };
        let Some(request) = self.request_mut(step) else { return true };
        let accepted = request.accepted.get_or_insert_with(status::accepted_by_locust);
        // Redirects are followed by Locust, and never seen.
        accepted
            .iter()
            .all(|status| (300..400).contains(status) || *status < 200 || within.contains(status))
    }

    /// What a condition demands of responses if it must be `wanted`; `None` if it is not read.
    pub(super) fn checks(&mut self, test: &'m Expr, wanted: bool) -> Option<Vec<Check>> {
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
                let mut either: Option<(StepId, Statuses)> = None;
                for operand in &operation.values {
                    let (step, statuses) = status_of(&self.checks(operand, wanted)?)?;
                    either = match either {
                        None => Some((step, statuses)),
                        Some((other, all)) if other == step => Some((step, &all | &statuses)),
                        Some(_) => return None,
                    };
                }
                either.map(|(step, statuses)| vec![Check::Status(step, statuses)])
            }
            Expr::Compare(compare) => self.comparison(compare, wanted),
            Expr::Attribute(attribute) if attribute.attr.as_str() == "ok" => {
                let Symbol::Response(step) = self.eval(&attribute.value) else { return None };
                let good = status::accepted_by_locust();
                let statuses = if wanted { good } else { status::others(&good) };
                Some(vec![Check::Status(step, statuses)])
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
        if let Some((step, statuses)) = self.compared_status(compare) {
            let statuses = if wanted { statuses } else { status::others(&statuses) };
            return Some(vec![Check::Status(step, statuses)]);
        }
        let ([op], [right]) = (&compare.ops[..], &compare.comparators[..]) else { return None };
        let left = self.eval(&compare.left);
        let right = self.eval(right);
        let equal = matches!((op, wanted), (CmpOp::Eq, true) | (CmpOp::NotEq, false));
        let contained = matches!((op, wanted), (CmpOp::In, true) | (CmpOp::NotIn, false));
        let check = match (left, right) {
            (Symbol::Elapsed(_), _) => Check::ResponseTime,
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

    /// The statuses for which a comparison of a status holds: `200 <= response.status_code < 300`.
    fn compared_status(&mut self, compare: &'m ExprCompare) -> Option<(StepId, Statuses)> {
        let mut left = self.eval(&compare.left);
        let mut found: Option<(StepId, Statuses)> = None;
        for (op, right) in compare.ops.iter().zip(&compare.comparators) {
            let right = self.eval(right);
            let (step, statuses) = match (&left, &right) {
                (Symbol::Status(step), Symbol::Integer(limit)) => {
                    (*step, status::compared(*op, *limit)?)
                }
                (Symbol::Integer(limit), Symbol::Status(step)) => {
                    (*step, status::compared(flipped(*op), *limit)?)
                }
                (Symbol::Status(step), Symbol::List(items)) => (*step, contained(*op, items)?),
                _ => return None,
            };
            found = match found {
                Some((_, earlier)) => Some((step, &earlier & &statuses)),
                None => Some((step, statuses)),
            };
            left = right;
        }
        found
    }
}

/// The operator with its sides exchanged.
fn flipped(op: CmpOp) -> CmpOp {
    match op {
        CmpOp::Lt => CmpOp::Gt,
        CmpOp::LtE => CmpOp::GtE,
        CmpOp::Gt => CmpOp::Lt,
        CmpOp::GtE => CmpOp::LtE,
        other => other,
    }
}

/// The statuses of `status in […]` or `status not in […]`.
fn contained(op: CmpOp, items: &[Symbol]) -> Option<Statuses> {
    let status = |item: &Symbol| match item {
        Symbol::Integer(status) => u16::try_from(*status).ok(),
        _ => None,
    };
    let listed = items.iter().map(status).collect::<Option<Statuses>>()?;
    match op {
        CmpOp::In => Some(listed),
        CmpOp::NotIn => Some(status::others(&listed)),
        _ => None,
    }
}
