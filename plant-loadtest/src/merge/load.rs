//! The load of a merged outcome.

use std::collections::BTreeSet;

use super::Measured;
use crate::{
    load::{Model, Share, Stage},
    outcome::{Class, Load},
};

/// Maximum number of missing shares that are named.
const MAX_MISSING_SHARES: usize = 1000;

pub(super) fn merge(parts: &[Measured]) -> Load {
    let stages = stages(parts);
    let first = &parts[0].outcome.load;
    let users = |stage: &Stage| stage.from_users.max(stage.to_users);
    let peak = stages.iter().map(users).max().unwrap_or_default();
    let sum = parts.iter().map(|part| part.outcome.load.users).sum();
    Load {
        users: peak.max(sum),
        share: None,
        classes: classes(parts),
        stages,
        actions: parts.iter().flat_map(|part| part.outcome.load.actions.clone()).collect(),
        // None repeats them all.
        command: Vec::new(),
        ..first.clone()
    }
}

/// Returns the names of the generators whose share of the load is missing.
///
/// # Errors
/// Returns a message if the parts are not shares of one load, or there are two of the same share.
pub(super) fn missing_shares(parts: &[Measured]) -> Result<Vec<String>, String> {
    let share = |part: &Measured| part.outcome.load.share;
    let Some(count) = share(&parts[0]).map(Share::count) else {
        return match parts.iter().find(|part| share(part).is_some()) {
            Some(part) => {
                Err(format!("{} is a share of a load, {} is none", part.name, parts[0].name))
            }
            None => Ok(Vec::new()),
        };
    };
    if count as usize > parts.len() + MAX_MISSING_SHARES {
        return Err(format!("only {} of {count} shares of the load are there", parts.len()));
    }
    let mut missing: BTreeSet<u32> = (0..count).collect();
    for part in parts {
        let own = share(part).filter(|share| share.count() == count);
        if !own.is_some_and(|share| missing.remove(&share.index())) {
            return Err(format!(
                "{} is none of {count} shares of a load, or another one of the same share",
                part.name
            ));
        }
    }
    Ok(missing.into_iter().map(|index| format!("of share {index}/{count}")).collect())
}

fn classes(parts: &[Measured]) -> Vec<Class> {
    let load = &parts[0].outcome.load;
    let has_weights_of_users = load.share.is_some() && load.model == Model::Closed;
    let mut classes: Vec<Class> = Vec::new();
    for class in parts.iter().flat_map(|part| &part.outcome.load.classes) {
        match classes.iter_mut().find(|known| known.name == class.name) {
            Some(known) => {
                known.users += class.users;
                if has_weights_of_users {
                    known.weight += class.weight;
                }
            }
            None => classes.push(class.clone()),
        }
    }
    classes
}

/// Returns the stages of the merged run: the sums of the stages of the parts if they are at the same seconds,
/// as planned; else parts of the run with one kind of load, of which those are judged in which all parts
/// that run are in a judged stage.
fn stages(parts: &[Measured]) -> Vec<Stage> {
    let (first, others) = (&parts[0], &parts[1..]);
    if others.iter().all(|other| has_same_stages(first, other)) {
        sums(parts)
    } else {
        spans(parts)
    }
}

/// Returns whether two generators have the same stages at the same seconds of the merged run.
pub(super) fn has_same_stages(one: &Measured, two: &Measured) -> bool {
    let is_same = |one: &Stage, two: &Stage| {
        (&one.name, one.from_s, one.to_s, one.judged)
            == (&two.name, two.from_s, two.to_s, two.judged)
    };
    let (ours, theirs) = (&one.outcome.load.stages, &two.outcome.load.stages);
    one.offset_s == two.offset_s
        && ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(one, two)| is_same(one, two))
}

fn sums(parts: &[Measured]) -> Vec<Stage> {
    let mut stages = parts[0].outcome.load.stages.clone();
    for part in &parts[1..] {
        for (sum, stage) in stages.iter_mut().zip(&part.outcome.load.stages) {
            sum.from_users += stage.from_users;
            sum.to_users += stage.to_users;
            sum.from_rate += stage.from_rate;
            sum.to_rate += stage.to_rate;
            sum.burst += stage.burst;
            sum.iterations += stage.iterations;
        }
    }
    stages
}

/// What the parts do in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    /// Number of users at its start, and at its end.
    users: (u32, u32),
    rates: (f64, f64),
    judged: bool,
}

fn spans(parts: &[Measured]) -> Vec<Stage> {
    let ends = parts.iter().map(|part| part.second(part.outcome.planned_seconds()));
    let seconds = (0..ends.max().unwrap_or_default()).map(|second| at_second(parts, second));
    let mut stages: Vec<Stage> = Vec::new();
    let (mut ramps, mut holds) = (0, 0);
    for (at, second) in (0_u32..).zip(seconds) {
        let is_next = stages.last().is_none_or(|stage| {
            let continues = stage.judged == second.judged;
            let is_constant = stage.to_users == second.users.1;
            !(continues && (is_constant || !second.judged))
        });
        if is_next {
            let (kind, number) =
                if second.judged { ("hold", &mut holds) } else { ("ramp", &mut ramps) };
            *number += 1;
            stages.push(Stage {
                name: format!("{kind}-{number}"),
                from_users: second.users.0,
                from_rate: second.rates.0,
                from_s: at,
                judged: second.judged,
                ..Stage::default()
            });
        }
        if let Some(stage) = stages.last_mut() {
            (stage.to_users, stage.to_rate, stage.to_s) = (second.users.1, second.rates.1, at + 1);
        }
    }
    stages
}

fn at_second(parts: &[Measured], second: u32) -> Second {
    let mut all = Second { judged: true, ..Second::default() };
    let mut is_any = false;
    for part in parts {
        let stages = &part.outcome.load.stages;
        let stage = stages
            .iter()
            .find(|stage| (part.second(stage.from_s)..part.second(stage.to_s)).contains(&second));
        match stage {
            Some(stage) => {
                is_any = true;
                let from = second - part.second(stage.from_s);
                let length = stage.to_s - stage.from_s;
                let users = |at| level(stage.from_users.into(), stage.to_users.into(), at, length);
                let rate = |at| level(stage.from_rate, stage.to_rate, at, length);
                let rounded = |users: f64| format!("{users:.0}").parse::<u32>().unwrap_or_default();
                all.users.0 += rounded(users(from));
                all.users.1 += rounded(users(from + 1));
                all.rates.0 += rate(from);
                all.rates.1 += rate(from + 1);
                all.judged &= stage.judged;
            }
            // It has users, but no stage: its last whole second is over, or it is being stopped.
            None if second < part.end_s() && second >= part.offset_s => all.judged = false,
            None => {}
        }
    }
    all.judged &= is_any;
    all
}

/// Returns a level that changes linearly, `at` seconds after its start.
fn level(from: f64, to: f64, at: u32, length: u32) -> f64 {
    from + (to - from) * f64::from(at) / f64::from(length.max(1))
}
