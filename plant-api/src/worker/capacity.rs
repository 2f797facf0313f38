//! Slots of this process, per kind of job, and the jobs that are claimed for them.

use std::collections::VecDeque;

use super::handler::AnyJobHandler;
use crate::jobs::{Job, JobKind};
use crate::tunables::InForce;

/// Numbers of jobs to claim, by kind.
pub(super) type Room = Vec<(&'static str, usize)>;

/// Slots of all kinds.
pub(super) struct Capacity(Vec<KindCapacity>);

struct KindCapacity {
    kind: JobKind,
    /// Number of slots. More may be used after it was reduced.
    slots: usize,
    used: usize,
    /// Jobs that wait for a slot.
    claimed: VecDeque<Job>,
    /// Whether the last claim returned as many jobs as were asked for, so that more are probably ready.
    more_ready: bool,
}

impl KindCapacity {
    /// Returns the number of jobs that are claimed before a slot is free for them.
    fn prefetch(&self) -> usize {
        if self.kind.prefetches { self.slots / 2 } else { 0 }
    }

    /// Returns the number of jobs to claim: none while half of the prefetched jobs still wait, so that
    /// a claim under load is for several jobs.
    fn room(&self) -> usize {
        let limit = self.slots + self.prefetch();
        let room = limit.saturating_sub(self.used + self.claimed.len());
        if room < self.prefetch().div_ceil(2) { 0 } else { room }
    }

    /// Takes a claimed job for a free slot.
    fn start_next(&mut self) -> Option<Job> {
        let job = if self.used < self.slots { self.claimed.pop_front() } else { None }?;
        self.used += 1;
        Some(job)
    }
}

impl Capacity {
    /// Creates slots for the handlers' kinds, all of them free.
    pub(super) fn new(handlers: &[AnyJobHandler]) -> Self {
        let unused = |handler: &AnyJobHandler| KindCapacity {
            kind: handler.kind(),
            slots: handler.kind().max_concurrency,
            used: 0,
            claimed: VecDeque::new(),
            more_ready: false,
        };
        Self(handlers.iter().map(unused).collect())
    }

    /// Changes the numbers of slots of the kinds that have a tunable. Used slots stay used.
    pub(super) fn resize(&mut self, tunables: &InForce) {
        for slots in &mut self.0 {
            if let Some(workers) = tunables.workers(slots.kind.name) {
                // More jobs may be ready for the new slots.
                slots.more_ready |= workers > slots.slots;
                slots.slots = workers;
            }
        }
    }

    /// Returns whether jobs of any kind can be claimed.
    pub(super) fn has_room(&self) -> bool {
        self.0.iter().any(|slots| slots.room() > 0)
    }

    /// Returns whether jobs can be claimed of a kind of which more are probably ready.
    pub(super) fn can_refill(&self) -> bool {
        self.0.iter().any(|slots| slots.more_ready && slots.room() > 0)
    }

    /// Returns the number of jobs to claim of each kind, without the kinds of which none can be.
    pub(super) fn room(&self) -> Room {
        let room = self.0.iter().map(|slots| (slots.kind.name, slots.room()));
        room.filter(|(_, room)| *room > 0).collect()
    }

    /// Returns the Redis lists of the kinds of which no job can be claimed.
    pub(super) fn full_lists(&self) -> Vec<&'static str> {
        let full = self.0.iter().filter(|slots| slots.room() == 0);
        full.map(|slots| slots.kind.queue).collect()
    }

    /// Adds the jobs that a claim for this room has returned.
    pub(super) fn add(&mut self, room: &Room, jobs: Vec<Job>) {
        // A claim without room for a kind says nothing about its jobs.
        for (kind, room) in room {
            let count = jobs.iter().filter(|job| job.kind == *kind).count();
            if let Some(slots) = self.find(kind) {
                slots.more_ready = count >= *room;
            }
        }
        for job in jobs {
            if let Some(slots) = self.find(&job.kind) {
                slots.claimed.push_back(job);
            }
        }
    }

    /// Takes a claimed job for a free slot, which it uses from now on.
    pub(super) fn start_next(&mut self) -> Option<Job> {
        self.0.iter_mut().find_map(KindCapacity::start_next)
    }

    /// Frees one slot of a kind.
    pub(super) fn release(&mut self, kind: &str) {
        if let Some(slots) = self.find(kind) {
            slots.used = slots.used.saturating_sub(1);
        }
    }

    /// Removes the jobs that still wait for a slot.
    pub(super) fn take_claimed(&mut self) -> Vec<Job> {
        self.0.iter_mut().flat_map(|slots| slots.claimed.drain(..)).collect()
    }

    fn find(&mut self, kind: &str) -> Option<&mut KindCapacity> {
        self.0.iter_mut().find(|slots| slots.kind.name == kind)
    }
}
