//! The job `due_goal`: drafts one deliverable per enabled goal and period.
//!
//! Enqueueing the job of a due goal sets the goal's due time to the start of the next period, in the same
//! transaction, so several processes can do it concurrently. The job's `dedupe_key` and a unique constraint
//! on the draft, both on goal and period, make retries safe.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DeliverableId, sql};
use crate::cache::{Scope, Topic};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::Result;
use crate::jobs::{self, Failure, Job, JobHandler, JobKind, NewJob};
use crate::plant::goals::{self, GoalId};
use crate::queue::Queue;

/// Kind of the jobs that draft a deliverable.
pub const KIND: JobKind = JobKind {
    name: "due_goal",
    queue: "goal_queue",
    max_concurrency: 64,
    prefetches: false,
    timeout: Duration::from_secs(10),
};

/// Maximum number of goals handled in one transaction.
const MAX_GOALS_PER_BATCH: i64 = 500;

/// Goal and period of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftPayload {
    goal_id: GoalId,
    period: String,
}

/// Enqueues and runs the jobs that draft deliverables for due goals.
pub struct DueGoalHandler {
    pub db: Db,
    pub clock: Clock,
    pub queue: Queue,
}

impl DueGoalHandler {
    /// Enqueues the jobs of one batch; returns the number of due goals and the ids of the new jobs.
    async fn enqueue_batch(&self, now: DateTime<Utc>) -> Result<(usize, Vec<Uuid>)> {
        let mut tx = self.db.begin().await?;
        let due = goals::sql::lock_due(&mut *tx, now, MAX_GOALS_PER_BATCH).await?;
        let due_count = due.len();
        let mut jobs = Vec::new();
        let mut due_times = goals::sql::DueTimes::default();
        for goal in due {
            let Some(period) = goal.schedule.period_at(now) else { continue };
            due_times.push(goal.id, period.next_start);
            let payload = DraftPayload { goal_id: goal.id, period: period.name };
            let key = format!("{}:{}", payload.goal_id, payload.period);
            let job = NewJob {
                dedupe_key: Some(key),
                ..NewJob::new::<Self>(&self.clock, goal.customer_id, &payload)?
            };
            if jobs::enqueue(&mut tx, &job).await? {
                jobs.push(job.id);
            }
        }
        goals::sql::set_due_times(&mut *tx, &due_times).await?;
        tx.commit().await?;
        Ok((due_count, jobs))
    }
}

impl JobHandler for DueGoalHandler {
    const KIND: JobKind = KIND;
    type Payload = DraftPayload;
    type Output = DraftPayload;

    async fn run(&self, _: &Job, payload: DraftPayload) -> Result<DraftPayload, Failure> {
        // The draft is inserted in the transaction that finishes the job.
        Ok(payload)
    }

    async fn persist(
        &self,
        connection: &mut PgConnection,
        _: &Job,
        draft: &DraftPayload,
    ) -> Result<Vec<Scope>> {
        let id = DeliverableId(self.clock.new_id());
        // Inserts no row if the goal was deleted or disabled meanwhile, or the draft exists.
        let now = self.clock.now();
        let hire = sql::insert_draft(connection, id, draft.goal_id, &draft.period, now).await?;
        Ok(hire.map(|hire| Topic::Deliverables.of(hire.0)).into_iter().collect())
    }

    /// Enqueues a job for each due goal.
    async fn enqueue_due(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut enqueued = 0;
        loop {
            let (due, jobs) = self.enqueue_batch(now).await?;
            for id in &jobs {
                self.queue.push_later(KIND.queue, *id);
            }
            enqueued += jobs.len();
            if due == 0 {
                return Ok(enqueued);
            }
        }
    }
}
