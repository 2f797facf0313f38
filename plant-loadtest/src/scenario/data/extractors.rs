//! Which step runs for a variable without a value: the first one that extracts it, those of
//! `on_start` first.

use super::{
    class::{Class, StepId},
    names::Names,
    values::Slot,
};

/// A variable that can never get a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unobtainable {
    /// The variable.
    pub(super) slot: Slot,
    /// Why, as a message.
    pub(super) reason: String,
}

/// A step that extracts variables.
struct Candidate {
    step: StepId,
    needs: Vec<Slot>,
    extracts: Vec<Slot>,
}

/// Returns the step for each variable, by slot, or the variables for which there is none.
pub(super) fn choose(
    class: &Class,
    names: &Names,
) -> Result<Vec<Option<StepId>>, Vec<Unobtainable>> {
    let candidates: Vec<Candidate> = class
        .step_ids()
        .into_iter()
        .filter_map(|step| {
            let (extractions, needs) = (&class.step(step)?.0.extractions, class.needs_alone(step));
            let extracts = extractions.iter().map(|extraction| extraction.slot).collect();
            // Other variables without a value are reported where they are used.
            let is_extracted =
                |slot: &Slot| names.is_extracted(*slot) && !names.is_drawn_at_start(*slot);
            let needs = needs.into_iter().filter(is_extracted).collect();
            Some(Candidate { step, needs, extracts })
        })
        .collect();
    let obtained = in_rounds(&candidates, names.count());
    let mut errors = Vec::new();
    let mut reported = Vec::new();
    for slot in candidates.iter().flat_map(|candidate| &candidate.needs) {
        if obtained[slot.0].is_none() {
            errors.extend(explain(*slot, &candidates, &obtained, names, &mut reported));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let first: Vec<Option<StepId>> = (0..names.count())
        .map(|slot| first_candidate(&candidates, Slot(slot)).map(|candidate| candidate.step))
        .collect();
    // In the normal case the first step that extracts a variable is the right one. If those lead in a
    // circle although there is a way out, the way out is taken.
    let circular = (0..names.count()).any(|slot| leads_to_itself(Slot(slot), &candidates));
    Ok(if circular { obtained } else { first })
}

/// Returns for each variable a step that only needs variables of earlier rounds.
fn in_rounds(candidates: &[Candidate], variables: usize) -> Vec<Option<StepId>> {
    let mut chosen: Vec<Option<StepId>> = vec![None; variables];
    loop {
        let mut found = Vec::new();
        for candidate in candidates {
            if candidate.needs.iter().all(|slot| chosen[slot.0].is_some()) {
                let new = candidate.extracts.iter().filter(|slot| chosen[slot.0].is_none());
                found.extend(new.map(|slot| (*slot, candidate.step)));
            }
        }
        if found.is_empty() {
            return chosen;
        }
        for (slot, step) in found {
            chosen[slot.0].get_or_insert(step);
        }
    }
}

fn first_candidate(candidates: &[Candidate], slot: Slot) -> Option<&Candidate> {
    candidates.iter().find(|candidate| candidate.extracts.contains(&slot))
}

/// Returns whether the first steps that extract variables lead from `slot` back to it.
fn leads_to_itself(slot: Slot, candidates: &[Candidate]) -> bool {
    let mut seen: Vec<Slot> = Vec::new();
    let mut open = vec![slot];
    while let Some(current) = open.pop() {
        let needs = first_candidate(candidates, current).map(|candidate| &candidate.needs);
        for need in needs.into_iter().flatten() {
            if *need == slot {
                return true;
            }
            if !seen.contains(need) {
                seen.push(*need);
                open.push(*need);
            }
        }
    }
    false
}

/// Returns why `slot` never gets a value; `None` if a cause of it is reported already.
fn explain(
    slot: Slot,
    candidates: &[Candidate],
    obtained: &[Option<StepId>],
    names: &Names,
    reported: &mut Vec<Slot>,
) -> Option<Unobtainable> {
    let mut path = vec![slot];
    loop {
        let current = *path.last()?;
        if reported.contains(&current) {
            return None;
        }
        let Some(candidate) = first_candidate(candidates, current) else {
            reported.extend(path);
            let name = names.name(current);
            let reason = format!("`{name}` never gets a value: only steps of on_stop extract it");
            return Some(Unobtainable { slot: current, reason });
        };
        let next = *candidate.needs.iter().find(|need| obtained[need.0].is_none())?;
        if let Some(start) = path.iter().position(|earlier| *earlier == next) {
            let circle: Vec<String> =
                path[start..].iter().map(|slot| format!("`{}`", names.name(*slot))).collect();
            let reason = format!(
                "{} never gets a value: the steps that extract variables need each other's in a \
                 circle ({})",
                circle[0],
                circle.join(" needs ") + " needs " + &circle[0]
            );
            let first = path[start];
            reported.extend(path);
            return Some(Unobtainable { slot: first, reason });
        }
        path.push(next);
    }
}
