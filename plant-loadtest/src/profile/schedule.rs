//! When how much load: what a profile says, and the stages that come of it.

use super::Stage;
use crate::{outcome::Model, timespan};

/// How a profile spreads its load over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// Users start one after the other, then all stay.
    Ramped {
        /// Users started a second, possibly fractional.
        spawn_rate: f64,
        /// After the ramp, seconds that are not judged.
        warm_up_s: u64,
        /// Seconds in all, ramp and warm-up included.
        run_time_s: u64,
    },
    /// One part after the other.
    Parts(Vec<Part>),
}

/// A part of a profile with one kind of load.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What rules and reports call it.
    pub name: String,
    /// In seconds.
    pub lasts_s: u64,
    /// Users in the closed model, arrivals a second in the open one.
    pub level: Level,
    /// Arrivals all at once at its start, in the open model.
    pub at_once: u32,
    /// Whether rules that name no stage hold here.
    pub judged: bool,
}

/// How much load a part has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// The same from its first moment to its last.
    Hold(f64),
    /// Evenly from where the part before ended to here.
    RampTo(f64),
}

impl Level {
    /// What it ends with.
    #[must_use]
    pub fn end(self) -> f64 {
        match self {
            Self::Hold(level) | Self::RampTo(level) => level,
        }
    }
}

impl Schedule {
    /// How long the profile takes as written, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        match self {
            Self::Ramped { run_time_s, .. } => *run_time_s,
            Self::Parts(parts) => parts.iter().map(|part| part.lasts_s).sum(),
        }
    }

    /// The greatest load of its parts; `None` when it has none.
    #[must_use]
    pub fn height(&self) -> Option<f64> {
        match self {
            Self::Ramped { .. } => None,
            Self::Parts(parts) => parts.iter().map(|part| part.level.end()).reduce(f64::max),
        }
    }
}

/// Cuts the ramped form into parts.
///
/// # Errors
/// When nothing would be left to judge.
pub(super) fn ramped(
    users: u32,
    spawn_rate: f64,
    warm_up_s: u64,
    run_time_s: u64,
) -> Result<Vec<Part>, String> {
    let ramp_s = ceil_s(f64::from(users) / spawn_rate);
    let before_s = ramp_s + warm_up_s;
    let Some(steady_s) = run_time_s.checked_sub(before_s).filter(|left| *left > 0) else {
        let warm_up = if warm_up_s > 0 { " and warm" } else { "" };
        return Err(format!(
            "a run of {} ends before its {users} users are there{warm_up}: at {spawn_rate} a second \
             that takes {}, and only what follows is judged. Give a longer run time or a faster \
             spawn rate",
            timespan::display(run_time_s),
            timespan::display(before_s),
        ));
    };
    let part = |name: &str, lasts_s, level, judged| Part {
        name: name.into(),
        lasts_s,
        level,
        at_once: 0,
        judged,
    };
    let all = f64::from(users);
    let mut parts = vec![
        part("ramp", ramp_s, Level::RampTo(all), false),
        part("warm-up", warm_up_s, Level::Hold(all), false),
        part("steady", steady_s, Level::Hold(all), true),
    ];
    parts.retain(|part| part.lasts_s > 0);
    Ok(parts)
}

/// Lays `parts` end to end; each lasts `time_scale` times as long, in whole seconds, at least one.
///
/// # Errors
/// When the run would last longer than seconds can be counted.
pub(super) fn stages(
    parts: &[Part],
    model: Model,
    level_scale: f64,
    time_scale: f64,
) -> Result<Vec<Stage>, String> {
    let mut stages = Vec::new();
    let (mut at_s, mut level) = (0_u32, 0.0);
    for part in parts {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a run stay far below 2^53")]
        let lasts_s = ceil_s(part.lasts_s as f64 * time_scale);
        let to_s = u32::try_from(u64::from(at_s) + lasts_s)
            .map_err(|_| "a run lasts at most 136 years".to_owned())?;
        let to = part.level.end() * level_scale;
        let from = if matches!(part.level, Level::Hold(_)) { to } else { level };
        let (name, judged) = (part.name.clone(), part.judged);
        let base = Stage { name, from_s: at_s, to_s, judged, ..Stage::default() };
        stages.push(match model {
            Model::Closed => Stage { from_users: users(from), to_users: users(to), ..base },
            Model::Open => Stage { from_rate: from, to_rate: to, at_once: part.at_once, ..base },
        });
        (at_s, level) = (to_s, to);
    }
    Ok(stages)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative, and a float's cast to an integer saturates"
)]
fn users(level: f64) -> u32 {
    if level > 0.0 { (level.round() as u32).max(1) } else { 0 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative here, and a float's cast to an integer saturates"
)]
fn ceil_s(seconds: f64) -> u64 {
    // 200 / 6.67 and the like must not become a second longer by rounding noise.
    ((seconds - 1e-9).ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(lasts_s: u64, level: Level) -> Part {
        Part { name: "p".into(), lasts_s, level, at_once: 0, judged: true }
    }

    #[test]
    fn a_ramp_starts_where_the_part_before_ended_and_a_hold_jumps() {
        let parts = [
            part(10, Level::RampTo(100.0)),
            part(5, Level::RampTo(500.0)),
            part(5, Level::Hold(100.0)),
        ];
        let stages = stages(&parts, Model::Closed, 1.0, 1.0).unwrap();
        let users: Vec<(u32, u32)> =
            stages.iter().map(|stage| (stage.from_users, stage.to_users)).collect();
        assert_eq!(users, [(0, 100), (100, 500), (100, 100)]);
        assert_eq!(stages[2].seconds(), 15..20);
    }

    #[test]
    fn levels_scale_and_nobody_is_rounded_away() {
        let parts = [part(1, Level::Hold(100.0)), part(1, Level::Hold(10.0))];
        let stages = stages(&parts, Model::Closed, 0.04, 1.0).unwrap();
        assert_eq!((stages[0].to_users, stages[1].to_users), (4, 1));
    }

    #[test]
    fn open_parts_have_rates() {
        let stages = stages(&[part(2, Level::RampTo(50.0))], Model::Open, 2.0, 1.0).unwrap();
        assert_eq!((stages[0].from_rate, stages[0].to_rate, stages[0].to_users), (0.0, 100.0, 0));
    }
}
