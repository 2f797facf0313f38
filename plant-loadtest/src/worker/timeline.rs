//! The stages of a test whose load is ordered while it runs: the number of users changes in a ramp, and is
//! constant in a hold. Only holds are judged.

use std::time::Duration;

use crate::load::Stage;

/// The stages so far.
#[derive(Debug, Default)]
pub struct Timeline {
    stages: Vec<Stage>,
    kind: Kind,
    from_s: u32,
    from_users: u32,
    users: u32,
    ramps: u32,
    holds: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Ramp,
    Hold,
    Ended,
}

impl Timeline {
    /// Records that another number of users was ordered at this time since the start.
    pub fn change(&mut self, at: Duration, users: u32) {
        if self.kind == Kind::Hold {
            self.close(whole_seconds(at));
            self.kind = Kind::Ramp;
            self.from_users = self.users;
        }
        self.users = users;
    }

    /// Records that all users had started at this time since the start.
    pub fn complete(&mut self, at: Duration) {
        if self.kind == Kind::Ramp {
            let started = whole_seconds(at.saturating_add(Duration::from_nanos(999_999_999)));
            self.close(started);
            self.kind = Kind::Hold;
            self.from_users = self.users;
        }
    }

    /// Returns the stages until this time since the start.
    pub fn stages(&self, at: Duration) -> Vec<Stage> {
        let mut stages = self.stages.clone();
        stages.extend(self.open_stage(whole_seconds(at)));
        stages
    }

    fn close(&mut self, to_s: u32) {
        if let Some(stage) = self.open_stage(to_s) {
            match self.kind {
                Kind::Ramp => self.ramps += 1,
                Kind::Hold | Kind::Ended => self.holds += 1,
            }
            self.stages.push(stage);
        }
        self.from_s = self.from_s.max(to_s);
    }

    /// Returns the stage in progress; `None` if it has no whole second.
    fn open_stage(&self, to_s: u32) -> Option<Stage> {
        let name = match self.kind {
            Kind::Ramp => format!("ramp-{}", self.ramps + 1),
            Kind::Hold => format!("hold-{}", self.holds + 1),
            Kind::Ended => return None,
        };
        (to_s > self.from_s).then(|| Stage {
            name,
            from_users: self.from_users,
            to_users: self.users,
            from_s: self.from_s,
            to_s,
            judged: self.kind == Kind::Hold,
            ..Stage::default()
        })
    }

    /// Ends the last stage. What comes later belongs to none.
    pub fn finish(&mut self, at: Duration) {
        self.close(whole_seconds(at));
        self.kind = Kind::Ended;
    }
}

fn whole_seconds(at: Duration) -> u32 {
    u32::try_from(at.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(stages: &[Stage]) -> Vec<String> {
        let describe = |stage: &Stage| {
            let Stage { name, from_users, to_users, from_s, to_s, judged, .. } = stage;
            format!("{name} {from_users}->{to_users} {from_s}..{to_s} {judged}")
        };
        stages.iter().map(describe).collect()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn only_seconds_with_a_constant_number_of_users_are_judged() {
        let mut timeline = Timeline::default();
        timeline.change(at(300), 10);
        timeline.change(at(1300), 20);
        timeline.complete(at(2400));
        assert_eq!(described(&timeline.stages(at(2900))), ["ramp-1 0->20 0..3 false"]);
        assert_eq!(
            described(&timeline.stages(at(9900))),
            ["ramp-1 0->20 0..3 false", "hold-1 20->20 3..9 true"]
        );
        timeline.change(at(12_700), 5);
        timeline.complete(at(13_000));
        timeline.finish(at(20_999));
        assert_eq!(
            described(&timeline.stages(at(25_000))),
            [
                "ramp-1 0->20 0..3 false",
                "hold-1 20->20 3..12 true",
                "ramp-2 20->5 12..13 false",
                "hold-2 5->5 13..20 true"
            ]
        );
    }

    #[test]
    fn stages_without_a_whole_second_are_left_out() {
        let mut timeline = Timeline::default();
        timeline.change(at(0), 10);
        timeline.complete(at(0));
        timeline.change(at(800), 5);
        timeline.complete(at(900));
        timeline.complete(at(950));
        timeline.finish(at(3200));
        timeline.complete(at(9000));
        assert_eq!(
            described(&timeline.stages(at(9900))),
            ["ramp-1 10->5 0..1 false", "hold-1 5->5 1..3 true"]
        );
        let mut short = Timeline::default();
        short.finish(at(700));
        assert!(short.stages(at(9000)).is_empty());
    }
}
