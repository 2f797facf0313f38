//! Sets of status codes that count as a success.

use std::collections::BTreeSet;

use ruff_python_ast::CmpOp;

/// Status codes from 100 to 599.
pub type Statuses = BTreeSet<u16>;

/// Most status codes that are written out.
const MOST_WRITTEN: usize = 20;

/// The successes that services send; the others from 200 to 299 are not assigned.
const ASSIGNED_SUCCESSES: [u16; 10] = [200, 201, 202, 203, 204, 205, 206, 207, 208, 226];

/// All statuses.
pub fn all() -> Statuses {
    (100..600).collect()
}

/// The statuses below 400: those that Locust accepts if the file decides nothing.
pub fn accepted_by_locust() -> Statuses {
    (100..400).collect()
}

/// All statuses that are not in `statuses`.
pub fn others(statuses: &Statuses) -> Statuses {
    &all() - statuses
}

/// The statuses for which `status OPERATOR right` holds.
pub fn compared(op: CmpOp, right: i64) -> Option<Statuses> {
    let holds = |status: &u16| {
        let status = i64::from(*status);
        match op {
            CmpOp::Eq => status == right,
            CmpOp::NotEq => status != right,
            CmpOp::Lt => status < right,
            CmpOp::LtE => status <= right,
            CmpOp::Gt => status > right,
            CmpOp::GtE => status >= right,
            _ => false,
        }
    };
    let is_known = !matches!(op, CmpOp::Is | CmpOp::IsNot | CmpOp::In | CmpOp::NotIn);
    is_known.then(|| all().into_iter().filter(holds).collect())
}

/// Whether a healthy service does not respond with these statuses: none of them is a success, or
/// they are all but some successes, as in `status != 200`.
pub fn are_exceptional(statuses: &Statuses) -> bool {
    let successes = statuses.range(200..300).count();
    successes == 0 || (successes < 100 && statuses.range(500..600).count() == 100)
}

/// The list that a profile expects for these statuses; empty for 200 to 299. `None` if it is too
/// long. Redirects are not followed here, so that they count only if the file names them.
pub fn expected(accepted: &Statuses) -> Option<Vec<u16>> {
    let all_successes = accepted.range(200..300).count() == 100;
    let named =
        |statuses: std::ops::Range<u16>| accepted.range(statuses).copied().collect::<Vec<_>>();
    let mut list = if all_successes { Vec::new() } else { named(200..300) };
    if accepted.range(300..400).count() < 100 {
        list.extend(named(300..400));
    }
    list.extend(named(400..600));
    if all_successes && !list.is_empty() {
        list.splice(0..0, ASSIGNED_SUCCESSES);
    }
    let is_something = all_successes || !list.is_empty();
    (is_something && list.len() <= MOST_WRITTEN).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_statuses_become_a_list() {
        let with_404 = &accepted_by_locust() | &Statuses::from([404]);
        for (accepted, list) in [
            (accepted_by_locust(), Some(vec![])),
            (Statuses::from([200, 304]), Some(vec![200, 304])),
            (with_404, Some([&ASSIGNED_SUCCESSES[..], &[404]].concat())),
            ((100..500).collect(), None),
            (Statuses::new(), None),
            ((100..200).collect(), None),
        ] {
            assert_eq!(expected(&accepted), list, "{accepted:?}");
        }
    }

    #[test]
    fn failures_and_all_but_one_success_are_exceptional() {
        for (op, status, expected) in [
            (CmpOp::Eq, 200, false),
            (CmpOp::NotEq, 200, true),
            (CmpOp::Lt, 300, false),
            (CmpOp::GtE, 400, true),
            (CmpOp::Eq, 404, true),
            (CmpOp::NotEq, 404, false),
        ] {
            let statuses = compared(op, status).unwrap();
            assert_eq!(are_exceptional(&statuses), expected, "{op:?} {status}");
        }
    }
}
