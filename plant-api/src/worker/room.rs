//! How many more jobs of each kind this process may run.

use std::sync::Arc;

use crate::jobs::{Handler, Job, Kind};

/// The room for jobs.
pub(super) struct Room(Vec<Place>);

struct Place {
    kind: Kind,
    taken: usize,
    /// Whether the last claim filled all the room there was, so that there may be more.
    more: bool,
}

impl Room {
    pub(super) fn of(handlers: &[Arc<dyn Handler>]) -> Self {
        let place =
            |handler: &Arc<dyn Handler>| Place { kind: handler.kind(), taken: 0, more: false };
        Self(handlers.iter().map(place).collect())
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|place| place.taken < place.kind.at_once)
    }

    /// Whether there is some where a claim would probably find a job.
    pub(super) fn may_fill(&self) -> bool {
        self.0.iter().any(|place| place.more && place.taken < place.kind.at_once)
    }

    /// The kinds for which there is room, with how much.
    pub(super) fn wanted(&self) -> Vec<(&'static str, usize)> {
        let free = self.0.iter().map(|place| (place.kind.name, place.kind.at_once - place.taken));
        free.filter(|(_, free)| *free > 0).collect()
    }

    /// Gives room to jobs that were claimed. Answers how many of each list.
    pub(super) fn take(&mut self, jobs: &[Job]) -> Vec<(&'static str, usize)> {
        let mut lists = Vec::new();
        for place in &mut self.0 {
            let count = jobs.iter().filter(|job| job.kind == place.kind.name).count();
            let free = place.kind.at_once - place.taken;
            place.more = free > 0 && count >= free;
            place.taken += count;
            if count > 0 {
                lists.push((place.kind.queue, count));
            }
        }
        lists
    }

    /// A job of this kind needs its room no longer.
    pub(super) fn free(&mut self, kind: &str) {
        if let Some(place) = self.0.iter_mut().find(|place| place.kind.name == kind) {
            place.taken = place.taken.saturating_sub(1);
        }
    }

    /// How many jobs there are.
    pub(super) fn taken(&self) -> usize {
        self.0.iter().map(|place| place.taken).sum()
    }
}
