//! Branches on a response: which statuses they make a success or a failure, and which of them a
//! healthy service takes.

use ruff_python_ast::{Expr, Stmt, StmtIf};

use super::{
    check::{Check, status_of},
    status::{self, Statuses},
    symbol::StepId,
    walk::{Flow, Walker, fails_explicitly},
};

/// A condition with its statements; `else` has none.
type Branch<'m> = (Option<&'m Expr>, &'m [Stmt]);

/// What a branch means for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// The response is a failure.
    Failure,
    /// The response is a success.
    Success,
    /// The task ends.
    End,
    /// The branch does something else.
    Other,
}

/// Branches of one `if` while they are read.
struct Chain<'m> {
    /// The request whose response is decided on.
    step: Option<StepId>,
    /// Statuses with which none of the branches so far was taken.
    open: Statuses,
    /// Statuses that are a success, or a failure, whatever Locust's default is.
    passed: Statuses,
    failed: Statuses,
    /// Statuses that branches without a verdict are about.
    expected: Statuses,
    /// What else is demanded of responses, with the condition.
    checks: Vec<(Check, &'m Expr)>,
    /// Statements that run with these statuses.
    candidates: Vec<(&'m [Stmt], Statuses)>,
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
        let mut branches: Vec<Branch<'m>> = vec![(Some(&*branch.test), &branch.body[..])];
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
            Some((Some(_), _)) => self.checked_branches(&branches),
        }
    }

    fn checked_branches(&mut self, branches: &[Branch<'m>]) -> Flow {
        let meanings: Vec<Meaning> = branches.iter().map(|(_, body)| self.meaning(body)).collect();
        let decides =
            meanings.iter().any(|meaning| matches!(meaning, Meaning::Failure | Meaning::Success));
        let mut chain = Chain {
            step: None,
            open: self.within.as_ref().map_or_else(status::all, |(_, statuses)| statuses.clone()),
            passed: Statuses::new(),
            failed: Statuses::new(),
            expected: Statuses::new(),
            checks: Vec::new(),
            candidates: Vec::new(),
        };
        for (number, (test, body)) in branches.iter().enumerate() {
            let meaning = meanings[number];
            let Some(test) = test else {
                let open = std::mem::take(&mut chain.open);
                chain.decide(open, meaning, body, false);
                continue;
            };
            let conditions = self.checks(test, true);
            match conditions.as_deref().and_then(status_of) {
                Some((step, statuses)) if chain.is_about(step) => {
                    let part = &chain.open & &statuses;
                    chain.open = &chain.open - &statuses;
                    chain.decide(part, meaning, body, !decides);
                }
                _ => {
                    let otherwise = &branches[number + 1..];
                    let fails_otherwise = matches!(otherwise.last(), Some((None, _)))
                        && meanings[number + 1..].iter().all(|it| *it == Meaning::Failure);
                    if matches!(meaning, Meaning::Failure | Meaning::End) {
                        self.failing_condition(&mut chain, test);
                    } else if let Some(conditions) =
                        conditions.filter(|_| fails_otherwise || !decides)
                    {
                        chain.demand(conditions, test, meaning, body, fails_otherwise);
                    } else {
                        self.unread_condition(test, body, decides);
                    }
                }
            }
        }
        self.judge(&chain, decides);
        self.walk_candidate(chain)
    }

    /// A condition that is not about the status alone and makes the response a failure.
    fn failing_condition(&mut self, chain: &mut Chain<'m>, test: &'m Expr) {
        let Some(required) = self.checks(test, false) else {
            self.left_out(test, "the condition is not checked");
            return;
        };
        for check in required {
            match check {
                Check::Status(step, statuses) if chain.is_about(step) => {
                    chain.failed.extend(&chain.open - &statuses);
                    chain.open = &chain.open & &statuses;
                }
                Check::ResponseTime => self.apply(check, test),
                // It would hold for the statuses of earlier branches too.
                check if chain.passed.is_empty() => chain.checks.push((check, test)),
                _ => self.left_out(test, "the condition is not checked"),
            }
        }
    }

    fn unread_condition(&mut self, test: &'m Expr, body: &'m [Stmt], decides: bool) {
        let reason = if decides && self.is_quiet(body) {
            "the condition is not checked"
        } else {
            "the condition is not read, and what depends on it is left out"
        };
        self.left_out(test, reason);
        self.forget(body);
    }

    /// Sets which statuses are accepted, and applies the other checks.
    fn judge(&mut self, chain: &Chain<'m>, decides: bool) {
        let of_checks = || chain.checks.iter().find_map(|(check, _)| check.step());
        let Some(step) = chain.step.or_else(of_checks) else { return };
        if let Some(request) = self.request_mut(step) {
            let accepted = request.accepted.get_or_insert_with(status::accepted_by_locust);
            if decides {
                *accepted = &(&*accepted - &chain.failed) | &chain.passed;
                request.is_judged = true;
            } else if !chain.expected.is_empty() {
                *accepted = &*accepted & &chain.expected;
            }
        }
        for (check, test) in chain.checks.clone() {
            self.apply(check, test);
        }
    }

    /// Walks the statements that a healthy service makes run; the others are listed.
    fn walk_candidate(&mut self, chain: Chain<'m>) -> Flow {
        let Chain { step, candidates, passed, .. } = chain;
        let chosen = candidates
            .iter()
            .position(|(_, statuses)| !status::are_exceptional(statuses))
            .or_else(|| candidates.iter().position(|(_, part)| !passed.is_disjoint(part)));
        let mut flow = Flow::Next;
        for (number, (body, statuses)) in candidates.into_iter().enumerate() {
            if Some(number) == chosen {
                let within = step.map(|step| (step, statuses));
                let outer = std::mem::replace(&mut self.within, within);
                flow = self.statements(body);
                let within = std::mem::replace(&mut self.within, outer);
                if let Flow::Return(_) = flow {
                    self.leave_early(within);
                }
                if let (Flow::Break, Some(last)) = (&flow, body.last()) {
                    self.left_out(last, "the passes of the loop after this one are left out");
                }
            } else if !self.is_quiet(body)
                && let Some(first) = body.first()
            {
                self.left_out(first, "what happens otherwise is not read");
                self.forget(body);
            }
        }
        flow
    }

    /// Whether statements mark a response as a failure or a success, or end the task.
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
            Meaning::End
        } else {
            meaning
        }
    }
}

impl<'m> Chain<'m> {
    /// Whether `step` is the request that all branches are about.
    fn is_about(&mut self, step: StepId) -> bool {
        *self.step.get_or_insert(step) == step
    }

    /// Notes what a branch does with the statuses of `part`.
    fn decide(&mut self, part: Statuses, meaning: Meaning, body: &'m [Stmt], expects: bool) {
        let is_exceptional = status::are_exceptional(&part);
        let leaves_loop = matches!(body.last(), Some(Stmt::Break(_) | Stmt::Continue(_)));
        match meaning {
            Meaning::Failure => {
                self.failed.extend(part);
                return;
            }
            // The rest of the task needs the other statuses.
            Meaning::End if is_exceptional && expects => {
                self.expected.extend(&self.open);
                return;
            }
            Meaning::Success => self.passed.extend(&part),
            Meaning::End | Meaning::Other if expects && !is_exceptional && !leaves_loop => {
                self.expected.extend(&part);
            }
            Meaning::End | Meaning::Other => {}
        }
        self.candidates.push((body, part));
    }

    /// Demands what a condition needs, because the response is a failure otherwise or because the
    /// statements that depend on it are part of the load.
    fn demand(
        &mut self,
        conditions: Vec<Check>,
        test: &'m Expr,
        meaning: Meaning,
        body: &'m [Stmt],
        fails_otherwise: bool,
    ) {
        let mut part = self.open.clone();
        let mut has_status = false;
        for check in conditions {
            match check {
                Check::Status(step, statuses) if self.is_about(step) => {
                    part = &part & &statuses;
                    has_status = true;
                }
                check => self.checks.push((check, test)),
            }
        }
        if fails_otherwise {
            self.failed.extend(&self.open - &part);
            self.open.clear();
        } else {
            self.open = &self.open - &part;
        }
        self.decide(part, meaning, body, has_status && !fails_otherwise);
    }
}
