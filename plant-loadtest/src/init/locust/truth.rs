//! Truth of conditions that do not depend on a response's status.

use ruff_python_ast::{BoolOp, CmpOp, Expr, UnaryOp};

use super::{symbol::Symbol, walk::Walker};

impl<'m> Walker<'m> {
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
        (op, Symbol::Length(_), Symbol::Integer(limit)) => compared_length(op, *limit),
        (CmpOp::Eq, left, right) => Some(left.as_literal()? == right.as_literal()?),
        (CmpOp::NotEq, left, right) => Some(left.as_literal()? != right.as_literal()?),
        _ => None,
    }
}

/// The result of a comparison of a length, of which is known that it is at least one.
fn compared_length(op: CmpOp, limit: i64) -> Option<bool> {
    match op {
        CmpOp::Eq | CmpOp::LtE if limit < 1 => Some(false),
        CmpOp::Lt if limit <= 1 => Some(false),
        CmpOp::NotEq | CmpOp::Gt if limit < 1 => Some(true),
        CmpOp::GtE if limit <= 1 => Some(true),
        _ => None,
    }
}
