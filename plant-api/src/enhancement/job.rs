//! Background job that enhances a ticket: gathers the context, has the note written, stores it, and
//! posts it to the service desk.
//!
//! The note is stored before it is posted, and posted under the id of the job. So an attempt after a
//! failure or a kill posts the same text, and the service desk stores it once.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use prometheus::Histogram;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::desk::{Desk, DeskError, Note};
use super::sql::{self, QueuedTicket};
use super::tenants::{self, DeskAccess};
use super::writer::{Source, Writer};
use super::{Priority, Status, context};
use crate::cache::Scope;
use crate::clock::Clock;
use crate::config::AccessMode;
use crate::crypto::Sealer;
use crate::db::{self, Db, TenantId, TenantScope};
use crate::error::{Error, Result};
use crate::jobs::{Failure, Job, JobHandler, JobKind, NewJob};

pub use super::KIND;

/// Delays after the first attempts in which the service desk has failed. Then the ticket fails.
const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Shortest delay of an attempt that was deferred.
const MIN_DEFERRAL: Duration = Duration::from_secs(1);

/// Time after the first of consecutive deferrals at which a ticket is not deferred any more, and fails.
const MAX_DEFERRAL_SECONDS: f64 = 3600.0;

/// Input of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payload {
    /// The tenant whose rows the job reads and writes.
    pub tenant_id: TenantId,
}

/// Creates the job of a ticket, which has the id of the ticket's entry in the history. Tenants are
/// served round-robin.
///
/// # Errors
/// When the payload cannot be serialized as JSON.
pub fn new(id: Uuid, tenant: &TenantId, priority: Priority) -> Result<NewJob> {
    let payload = serde_json::to_value(Payload { tenant_id: tenant.clone() });
    Ok(NewJob {
        id,
        kind: KIND.name,
        owner: tenant.to_string(),
        payload: payload.map_err(|e| Error::Internal(Box::new(e)))?,
        priority: priority.of_job(),
        delay: Duration::ZERO,
        dedupe_key: None,
    })
}

/// Handler of the jobs.
pub struct EnhancementHandler {
    pub db: Db,
    pub clock: Clock,
    pub access_mode: AccessMode,
    /// Opens the API keys of tenants.
    pub sealer: Sealer,
    pub writer: Writer,
    pub desk: Desk,
    /// Number of tickets that are enhanced at once.
    pub max_concurrency: usize,
    /// Metric of the time from acceptance to completion.
    pub duration: Histogram,
}

/// A ticket whose note was posted.
pub struct Enhanced {
    tenant_id: TenantId,
    accepted_at: DateTime<Utc>,
    processing_time: Duration,
}

/// What an attempt starts with.
struct Input {
    ticket: QueuedTicket,
    desk: DeskAccess,
}

impl JobHandler for EnhancementHandler {
    const KIND: JobKind = KIND;
    type Payload = Payload;
    /// `None`: the ticket was deleted, or completed before.
    type Output = Option<Enhanced>;

    fn max_concurrency(&self) -> usize {
        self.max_concurrency
    }

    async fn run(&self, job: &Job, payload: Payload) -> Result<Option<Enhanced>, Failure> {
        let started = Instant::now();
        let tenant_id = payload.tenant_id;
        let Some(Input { ticket, desk }) = self.find(&tenant_id, job.id).await? else {
            return Ok(None);
        };
        let text = match &ticket.enhancement {
            Some(draft) => draft.clone(),
            None => match self.write(&tenant_id, job.id, &ticket).await? {
                Some(text) => text,
                None => return Ok(None),
            },
        };
        let note = Note { key: job.id, ticket_id: &ticket.ticket_id, text: &text };
        self.desk.post(&desk, &note).await.map_err(|error| self.failure(error, job))?;
        let (accepted_at, processing_time) = (ticket.accepted_at, started.elapsed());
        Ok(Some(Enhanced { tenant_id, accepted_at, processing_time }))
    }

    async fn persist(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        output: &Option<Enhanced>,
    ) -> Result<Vec<Scope>> {
        let Some(enhanced) = output else { return Ok(Vec::new()) };
        let now = self.clock.now();
        db::enter(&mut *connection, TenantScope::One(&enhanced.tenant_id)).await?;
        if sql::complete(connection, job, enhanced.processing_time, now).await? {
            let duration = (now - enhanced.accepted_at).to_std().unwrap_or_default();
            self.duration.observe(duration.as_secs_f64());
        }
        Ok(Vec::new())
    }

    async fn on_dead_letter(
        &self,
        connection: &mut PgConnection,
        job: &Job,
        reason: &str,
    ) -> Result<()> {
        let Ok(payload) = Payload::deserialize(&job.payload) else { return Ok(()) };
        db::enter(&mut *connection, TenantScope::One(&payload.tenant_id)).await?;
        sql::fail(connection, job, reason, self.clock.now()).await?;
        Ok(())
    }
}

impl EnhancementHandler {
    /// Returns the ticket of a job, and where its note is posted; `None` if there is nothing to do.
    async fn find(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Input>, Failure> {
        let mut tx = self.db.begin_in(TenantScope::One(tenant)).await?;
        let found = sql::find_for_job(&mut *tx, id).await.map_err(Error::from)?;
        let Some((ticket, desk)) = found.filter(|(ticket, _)| ticket.status != Status::Completed)
        else {
            return Ok(None);
        };
        let desk = tenants::open_desk(desk, &self.sealer, self.access_mode, tenant)?;
        Ok(Some(Input { ticket, desk }))
    }

    /// Writes the note to a ticket and stores it; `None` if the ticket was deleted meanwhile.
    async fn write(
        &self,
        tenant: &TenantId,
        id: Uuid,
        ticket: &QueuedTicket,
    ) -> Result<Option<String>, Failure> {
        let context = context::gather(&self.db, tenant, &ticket.description).await;
        let text = self.writer.write(Source { ticket, context: &context }).await;
        let mut tx = self.db.begin_in(TenantScope::One(tenant)).await?;
        let stored = sql::store_draft(&mut *tx, id, &context.record(), &text).await;
        let stored = stored.map_err(Error::from)?;
        tx.commit().await.map_err(Error::from)?;
        Ok(stored.then_some(text))
    }

    fn failure(&self, error: DeskError, job: &Job) -> Failure {
        match error {
            DeskError::Rejected(reason) => Failure::Permanent(reason),
            DeskError::Failed(reason) => {
                let attempt = usize::try_from(job.attempts).unwrap_or(usize::MAX);
                match RETRY_DELAYS.get(attempt.saturating_sub(1)) {
                    Some(delay) => Failure::Retry { reason, after: Some(*delay) },
                    None => Failure::Permanent(reason),
                }
            }
            DeskError::Deferred { reason, .. }
                if job.postponed_seconds.is_some_and(|seconds| seconds > MAX_DEFERRAL_SECONDS) =>
            {
                Failure::Permanent(format!("{reason}; given up after an hour of postponements"))
            }
            DeskError::Deferred { reason, after } => {
                Failure::Postponed { reason, after: after.max(MIN_DEFERRAL) }
            }
        }
    }
}
