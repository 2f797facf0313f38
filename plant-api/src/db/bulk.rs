//! Bulk reads: long reads of many rows, from one snapshot, each on a connection of its own beside
//! the pool of the requests. All processes of the service together run one
//! read of each kind at a time.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection, raw_sql};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::{Db, switch_role};
use crate::error::{Error, Result};

/// Timeout for opening the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout for ending the transaction.
const END_TIMEOUT: Duration = Duration::from_millis(250);

/// Time until a process that found a read of another process connects again to look.
const RECHECK_DELAY: Duration = Duration::from_secs(1);

/// Maximum number of exports of one process that are not yet sent.
const MAX_UNSENT_EXPORTS: usize = 4;

/// `Retry-After` of the response while another read of the kind runs.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A kind of bulk read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkRead {
    Audit,
    Export,
}

impl BulkRead {
    /// Returns the key of the advisory lock; no other code may use it.
    pub fn lock_key(self) -> i64 {
        match self {
            Self::Audit => 0x706c_616e_745f_6175,
            Self::Export => 0x706c_616e_745f_6578,
        }
    }

    fn already_running(self) -> Error {
        let what = match self {
            Self::Audit => "another audit is running",
            Self::Export => "another export is running",
        };
        Error::RateLimited { what, retry_after: RETRY_AFTER }
    }
}

/// The slots of this process.
#[derive(Debug)]
pub(super) struct BulkReads {
    audits: Slots,
    exports: Slots,
}

#[derive(Debug)]
struct Slots {
    running: Arc<Semaphore>,
    unsent: Arc<Semaphore>,
}

impl Slots {
    fn new(max_unsent: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(1)), unsent: Arc::new(Semaphore::new(max_unsent)) }
    }
}

impl Default for BulkReads {
    fn default() -> Self {
        Self { audits: Slots::new(1), exports: Slots::new(MAX_UNSENT_EXPORTS) }
    }
}

/// A read-only transaction with one snapshot for all its statements. Dropping it ends the read by
/// closing the connection, instead of receiving the rest of the result first.
#[derive(Debug)]
pub struct BulkSnapshot {
    connection: PgConnection,
    _running: OwnedSemaphorePermit,
}

impl BulkSnapshot {
    /// Ends the read: another one may start once this returns. If the server does not respond soon,
    /// the connection is only closed, and the server releases the lock when it detects that.
    pub async fn end(mut self) {
        // The read is over, whether this succeeds or not.
        let _ = timeout(END_TIMEOUT, raw_sql("rollback").execute(&mut self.connection)).await;
    }
}

impl Deref for BulkSnapshot {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for BulkSnapshot {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// Permit for the result of a read, to be held until the result is sent. It limits how many results
/// slow clients can keep in this process.
#[derive(Debug)]
pub struct ResultPermit(#[expect(dead_code, reason = "held, not used")] OwnedSemaphorePermit);

impl Db {
    /// Begins a bulk read; the server cancels statements that take longer than `statement_timeout`.
    ///
    /// The advisory lock belongs to the transaction, so that it is released when the read ends,
    /// however it ends.
    ///
    /// # Errors
    /// [`Error::RateLimited`] at once if a read of this kind runs, in any process, or if too many
    /// results are not yet sent; otherwise as [`Db::acquire`].
    pub async fn begin_bulk_read(
        &self,
        kind: BulkRead,
        statement_timeout: Duration,
    ) -> Result<(BulkSnapshot, ResultPermit)> {
        if !self.is_up() {
            return Err(Error::database_unavailable());
        }
        let slots = match kind {
            BulkRead::Audit => &self.shared.bulk_reads.audits,
            BulkRead::Export => &self.shared.bulk_reads.exports,
        };
        let acquire = |semaphore: &Arc<Semaphore>| {
            semaphore.clone().try_acquire_owned().map_err(|_| kind.already_running())
        };
        let unsent = ResultPermit(acquire(&slots.unsent)?);
        let running = acquire(&slots.running)?;
        let options = self.shared.pool.connect_options();
        let mut connection = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options))
            .await
            .map_err(|_| Error::database_unavailable())??;
        switch_role(&mut connection, &statement_timeout.as_millis().to_string()).await?;
        let begin = "begin isolation level repeatable read, read only";
        raw_sql(begin).execute(&mut connection).await?;
        let locked: bool = sqlx::query_scalar("select pg_try_advisory_xact_lock($1)")
            .bind(kind.lock_key())
            .fetch_one(&mut connection)
            .await?;
        if locked {
            return Ok((BulkSnapshot { connection, _running: running }, unsent));
        }
        // The slot stays taken for a while: however many requests there are, one of them connects.
        tokio::spawn(async move {
            sleep(RECHECK_DELAY).await;
            drop(running);
        });
        Err(kind.already_running())
    }
}
