//! Due goals: each enabled goal yields one draft a period.
//!
//! Planning moves a goal's due time on to the next period and makes the job for this one, in one
//! transaction, so replicas that plan at once share the goals. The job is named after goal and
//! period, and so is the draft, by a unique constraint: whatever is tried again, there is one.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DeliverableId, sql};
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::jobs::{self, Failure, Handler, Job, Kind, NewJob};
use crate::plant::goals::{self, GoalId};
use crate::queue::Queue;

/// Jobs that draft a deliverable.
pub const KIND: Kind = Kind {
    name: "due_goal",
    queue: "goal_queue",
    at_once: 64,
    time_limit: Duration::from_secs(10),
};

/// Most goals that are planned in one transaction.
const PLANNED_AT_ONCE: i64 = 500;

/// Which draft is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Draft {
    goal_id: GoalId,
    period: String,
}

/// Plans and makes the drafts.
pub struct DueGoals {
    /// Where the goals are.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Where jobs are announced.
    pub queue: Queue,
}

impl DueGoals {
    async fn plan_due(&self) -> Result<usize> {
        let now = self.clock.now();
        let mut planned = 0;
        loop {
            let (goals, jobs) = self.plan_some(now).await?;
            for id in &jobs {
                self.queue.announce(KIND.queue, *id);
            }
            planned += jobs.len();
            if goals == 0 {
                return Ok(planned);
            }
        }
    }

    /// Answers how many goals were due, and the jobs made for them.
    async fn plan_some(&self, now: DateTime<Utc>) -> Result<(usize, Vec<Uuid>)> {
        let mut tx = self.db.begin().await?;
        let due = goals::sql::lock_due(&mut *tx, now, PLANNED_AT_ONCE).await?;
        let count = due.len();
        let mut jobs = Vec::new();
        let mut next = goals::sql::NextDue::default();
        for goal in due {
            let Some(period) = goal.schedule.period(now) else { continue };
            next.push(goal.id, period.next);
            let draft = Draft { goal_id: goal.id, period: period.name };
            let key = format!("{}:{}", draft.goal_id, draft.period);
            let job = NewJob {
                dedupe_key: Some(key),
                ..NewJob::new(&self.clock, KIND, goal.customer_id, &draft)?
            };
            if jobs::enqueue(&mut tx, &job).await? {
                jobs.push(job.id);
            }
        }
        goals::sql::set_due(&mut *tx, &next).await?;
        tx.commit().await?;
        Ok((count, jobs))
    }
}

impl Handler for DueGoals {
    fn kind(&self) -> Kind {
        KIND
    }

    fn run<'a>(&'a self, job: &'a Job) -> BoxFuture<'a, Result<Value, Failure>> {
        // All there is to do is written with the job's end.
        async { job.payload::<Draft>().map(|_| Value::Null) }.boxed()
    }

    fn keep<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        job: &'a Job,
        _: &'a Value,
    ) -> BoxFuture<'a, Result<()>> {
        async {
            let draft = job
                .payload::<Draft>()
                .map_err(|failure| Error::Internal(failure.reason().into()))?;
            let id = DeliverableId(self.clock.new_id());
            let now = self.clock.now();
            // No row: the goal is gone or disabled by now, or the draft was made before.
            sql::insert_draft(connection, id, draft.goal_id, &draft.period, now).await?;
            Ok(())
        }
        .boxed()
    }

    fn bury<'a>(
        &'a self,
        _: &'a mut PgConnection,
        _: &'a Job,
        _: &'a str,
    ) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Ok(())).boxed()
    }

    fn plan(&self) -> BoxFuture<'_, Result<usize>> {
        self.plan_due().boxed()
    }
}
