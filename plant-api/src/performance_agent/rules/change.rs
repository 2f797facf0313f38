//! Changes that a plan can propose, as rule files describe them.

use serde::Deserialize;

use crate::tunables::Tunable;

/// A change that may help with a finding. Texts can have `{subject}`, `{value}`, `{threshold}` and
/// `{evidence.…}` of the finding.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRule {
    /// Unique within the rule set.
    pub name: String,
    /// What is changed.
    pub what: String,
    pub action: Action,
    pub why: String,
    pub expected_effect: String,
    pub risk: String,
}

/// How a change is made.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A tunable gets another value, while the service runs.
    Tune {
        /// Name of the tunable; a `*` at the end stands for any rest, `{subject}` for the subject of the
        /// finding.
        tunable: String,
        step: Step,
    },
    /// A person makes the change.
    Manual {
        /// Statements for the database.
        sql: Option<String>,
        undo: String,
    },
}

/// From the value of a tunable to the planned one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// This value, whatever the current one is.
    pub set: Option<i64>,
    /// The current value times this, rounded.
    pub times: Option<f64>,
    pub at_least: Option<i64>,
    pub at_most: Option<i64>,
}

impl Step {
    /// Returns whether the step is either to a value, or to a multiple of the current one.
    pub(super) fn is_valid(self) -> bool {
        let limits = [self.at_least, self.at_most];
        match (self.set, self.times) {
            (Some(_), None) => limits == [None, None],
            (None, Some(times)) => {
                let ordered =
                    self.at_least.zip(self.at_most).is_none_or(|(least, most)| least <= most);
                times.is_finite() && times > 0.0 && times != 1.0 && ordered
            }
            _ => false,
        }
    }

    /// Returns the planned value; `None` if the step does not change the current one in its direction.
    pub fn apply(self, current: i64, (min, max): (i64, i64)) -> Option<i64> {
        let planned = match (self.set, self.times) {
            (Some(value), _) => value,
            (None, times) => (current as f64 * times.unwrap_or(1.0)).round() as i64,
        };
        let planned = planned.min(self.at_most.unwrap_or(i64::MAX));
        let planned = planned.max(self.at_least.unwrap_or(i64::MIN)).clamp(min, max);
        let in_direction = match self.times {
            Some(times) if times > 1.0 => planned > current,
            Some(_) => planned < current,
            None => planned != current,
        };
        in_direction.then_some(planned)
    }
}

/// Returns whether the tunable of a change, which may end with a `*`, is that of this name.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

/// Returns why no tunable can be changed in this way; `None` if one can, or if that depends on a finding.
/// Limits above the upper bound are no mistake: some of these bounds are configured.
pub(super) fn find_mistake(pattern: &str, step: Step, tunables: &[Tunable]) -> Option<String> {
    if pattern.contains("{subject}") {
        return None;
    }
    let is_switch = |tunable: &&Tunable| (tunable.min, tunable.max) == (0, 1);
    let matching = tunables.iter().filter(|tunable| matches(pattern, &tunable.name));
    let matching: Vec<_> =
        matching.filter(|tunable| !pattern.ends_with('*') || is_switch(tunable)).collect();
    if matching.is_empty() {
        let names: Vec<_> = tunables.iter().map(|tunable| &*tunable.name).collect();
        let what = if pattern.ends_with('*') { "switch" } else { "tunable" };
        return Some(format!("there is no {what} `{pattern}`; tunables are {}", names.join(", ")));
    }
    let is_impossible = |tunable: &&&Tunable| {
        step.set.is_some_and(|value| !tunable.allows(value))
            || step.at_most.is_some_and(|most| most < tunable.min)
    };
    let Tunable { name, min, max, .. } = matching.iter().find(is_impossible)?;
    Some(format!("the values of `{name}` are {min} to {max}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Step;

    const WIDE: (i64, i64) = (0, 1_000_000);

    #[test]
    fn a_step_moves_in_its_direction_within_its_limits() {
        let double = Step { times: Some(2.0), at_most: Some(600), ..Step::default() };
        assert_eq!(double.apply(60, WIDE), Some(120));
        assert_eq!(double.apply(500, WIDE), Some(600));
        assert_eq!(double.apply(600, WIDE), None);
        assert_eq!(double.apply(3600, WIDE), None, "it would be less");
        assert_eq!(double.apply(60, (1, 100)), Some(100), "the bounds of the tunable");
        let fewer =
            Step { times: Some(0.75), at_most: Some(256), at_least: Some(16), ..Step::default() };
        assert_eq!(fewer.apply(1_000_000, WIDE), Some(256));
        assert_eq!(fewer.apply(256, WIDE), Some(192));
        assert_eq!(fewer.apply(16, WIDE), None);
        let on = Step { set: Some(1), ..Step::default() };
        assert_eq!((on.apply(0, (0, 1)), on.apply(1, (0, 1))), (Some(1), None));
    }

    proptest! {
        #[test]
        fn a_planned_value_is_within_the_bounds_and_not_the_current_one(
            times in 0.1..8.0_f64,
            at_least in proptest::option::of(1..100_i64),
            at_most in proptest::option::of(100..5_000_i64),
            min in 1..50_i64,
            length in 0..10_000_i64,
            share in 0.0..=1.0_f64,
        ) {
            let current = min + (length as f64 * share) as i64;
            let step = Step { set: None, times: Some(times), at_least, at_most };
            if let Some(planned) = step.apply(current, (min, min + length)) {
                prop_assert!((min..=min + length).contains(&planned));
                prop_assert_eq!(planned > current, times > 1.0);
            }
        }
    }
}
