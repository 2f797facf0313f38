//! Free slots of this process, per kind of job.

use super::handler::AnyJobHandler;
use crate::jobs::{Job, JobKind};
use crate::tunables::InForce;

/// Slots of all kinds.
pub(super) struct Capacity(Vec<KindCapacity>);

struct KindCapacity {
    kind: JobKind,
    /// Number of slots. More may be used after it was reduced.
    slots: usize,
    used: usize,
    /// Whether the last claim filled all free slots, so that more jobs are probably ready.
    more_ready: bool,
}

impl KindCapacity {
    fn free(&self) -> usize {
        self.slots.saturating_sub(self.used)
    }
}

impl Capacity {
    /// Creates slots for the handlers' kinds, all of them free.
    pub(super) fn new(handlers: &[AnyJobHandler]) -> Self {
        let unused = |handler: &AnyJobHandler| KindCapacity {
            kind: handler.kind(),
            slots: handler.kind().max_concurrency,
            used: 0,
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

    /// Returns whether a slot of any kind is free.
    pub(super) fn has_free_slot(&self) -> bool {
        self.0.iter().any(|slots| slots.free() > 0)
    }

    /// Returns whether a slot is free for which a job is probably ready.
    pub(super) fn can_refill(&self) -> bool {
        self.0.iter().any(|slots| slots.more_ready && slots.free() > 0)
    }

    /// Returns the kinds with free slots and the number of those slots.
    pub(super) fn free_slots(&self) -> Vec<(&'static str, usize)> {
        let free = self.0.iter().map(|slots| (slots.kind.name, slots.free()));
        free.filter(|(_, free)| *free > 0).collect()
    }

    /// Returns the Redis lists of the kinds without a free slot.
    pub(super) fn full_lists(&self) -> Vec<&'static str> {
        let full = self.0.iter().filter(|slots| slots.free() == 0);
        full.map(|slots| slots.kind.queue).collect()
    }

    /// Assigns slots to claimed jobs and returns the number of jobs per Redis list.
    pub(super) fn occupy(&mut self, jobs: &[Job]) -> Vec<(&'static str, usize)> {
        let mut lists = Vec::new();
        for slots in &mut self.0 {
            let count = jobs.iter().filter(|job| job.kind == slots.kind.name).count();
            let free = slots.free();
            // A claim without free slots of this kind says nothing about its jobs.
            if free > 0 {
                slots.more_ready = count >= free;
            }
            slots.used += count;
            if count > 0 {
                lists.push((slots.kind.queue, count));
            }
        }
        lists
    }

    /// Frees one slot of a kind.
    pub(super) fn release(&mut self, kind: &str) {
        if let Some(slots) = self.0.iter_mut().find(|slots| slots.kind.name == kind) {
            slots.used = slots.used.saturating_sub(1);
        }
    }

    /// Returns the number of used slots of all kinds.
    pub(super) fn used(&self) -> usize {
        self.0.iter().map(|slots| slots.used).sum()
    }
}
