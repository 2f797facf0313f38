//! Streams all entities with their chains, one line each, from one snapshot. [`super::line`] and
//! `docs/chain.md` describe the format.
//!
//! A thread reads the database at its speed and writes the lines to a temporary file
//! (`spool.rs`), from which they are sent at the client's speed. A slow client therefore holds
//! no snapshot, and delays the next export only if too many exports are being sent.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::line::{self, Manifest};
use super::pages::{Chains, EntityPage, EntityPages};
use super::spool::{self, SpoolError, SpoolReader, SpoolWriter};
use super::thread;
use crate::db::{BulkRead, BulkSnapshot, Db};
use crate::error::{Error, Result};
use crate::plant::chain::Digest32;
use crate::plant::entity::Kind;
use crate::plant::genesis::content::Content;

/// Maximum duration of reading the database. While an export reads, PostgreSQL cannot vacuum rows
/// that changed since its start.
pub const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Time limits of sending an export.
const SEND_LIMITS: SendLimits =
    SendLimits { total: Duration::from_secs(30 * 60), part: Duration::from_secs(30) };

/// Number of bytes by which a client may be behind, which is the maximum size of the temporary
/// file.
const SPOOL_CAPACITY: u64 = 1 << 30;

/// Size in bytes from which a chunk is written.
const CHUNK_BYTES: usize = 64 * 1024;

/// Maximum number of chunks buffered for the client.
const MAX_BUFFERED_CHUNKS: usize = 4;

/// The export ended before its manifest; the file is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the export was aborted")]
pub struct ExportAborted;

/// The entities to export.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Only entities of this kind.
    pub kind: Option<Kind>,
    /// Only entities with a greater id.
    pub after: Option<Uuid>,
}

/// The body of an export.
pub type Body = BoxStream<'static, Result<Bytes, ExportAborted>>;

/// Exports the entities in `scope` as a stream that ends with the manifest. The export is aborted by
/// `shutdown`, and when reading the database takes longer than `read_timeout`.
///
/// # Errors
/// [`Error::RateLimited`] while another export reads the database, in any process, or if too many
/// exports are being sent.
pub async fn export(
    db: &Db,
    shutdown: CancellationToken,
    scope: Scope,
    read_timeout: Duration,
) -> Result<Body> {
    let deadline = Instant::now() + read_timeout;
    export_until(db, shutdown, scope, move || Instant::now() >= deadline).await
}

/// Like [`export`], but aborts when `time_is_up` returns true, which is called before each entity
/// and amendment.
pub(super) async fn export_until(
    db: &Db,
    shutdown: CancellationToken,
    scope: Scope,
    time_is_up: impl FnMut() -> bool + Send + 'static,
) -> Result<Body> {
    let (snapshot, unsent) = db.begin_bulk_read(BulkRead::Export, READ_TIMEOUT).await?;
    let (spool_writer, spool_reader) = spool::create(SPOOL_CAPACITY)
        .map_err(|source| Error::Internal(format!("temporary file: {source}").into()))?;
    let writer = Writer::new(spool_writer, time_is_up);
    let read = thread::run("export", read_database(snapshot, scope, writer));
    let (db, stopped) = (db.clone(), shutdown.clone());
    tokio::spawn(async move {
        let result = tokio::select! {
            result = read => result.map_err(AbortReason::Failed).flatten(),
            () = db.wait_for_disconnect() => Err(AbortReason::DatabaseUnavailable),
            () = stopped.cancelled() => Err(AbortReason::ShuttingDown),
        };
        log("export read", result.map(|entities| (entities, "entities")));
    });
    let (sender, receiver) = mpsc::channel(MAX_BUFFERED_CHUNKS);
    tokio::spawn(async move {
        let result = tokio::select! {
            result = send(spool_reader, sender, SEND_LIMITS) => result,
            () = shutdown.cancelled() => Err(AbortReason::ShuttingDown),
        };
        drop(unsent);
        log("export sent", result.map(|bytes| (bytes, "bytes")));
    });
    Ok(body_stream(receiver))
}

fn log(step: &str, result: Result<(u64, &str), AbortReason>) {
    match result {
        Ok((count, unit)) => tracing::info!("{step}: {count} {unit}"),
        Err(reason) => tracing::warn!(%reason, "export aborted"),
    }
}

/// Why an export was aborted.
#[derive(Debug, thiserror::Error)]
enum AbortReason {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("time limit reached after the entity {after}; export the rest with `after` set to it")]
    ReadTimeout { after: Uuid },
    #[error("the database is unavailable")]
    DatabaseUnavailable,
    #[error("the client accepted no data for too long, or has disconnected")]
    ClientUnavailable,
    #[error("the client did not receive the export in time")]
    SendTimeout,
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl From<sqlx::Error> for AbortReason {
    fn from(source: sqlx::Error) -> Self {
        Self::Failed(source.into())
    }
}

/// Writes all lines to the spool; returns the number of entities.
async fn read_database(
    mut snapshot: BulkSnapshot,
    scope: Scope,
    mut writer: Writer<impl FnMut() -> bool>,
) -> Result<u64, AbortReason> {
    let written = write_all(&mut snapshot, scope, &mut writer).await;
    // Ends the read before the manifest: a client that has it may start the next export at once.
    snapshot.end().await;
    written?;
    writer.finish()
}

async fn write_all(
    connection: &mut PgConnection,
    scope: Scope,
    writer: &mut Writer<impl FnMut() -> bool>,
) -> Result<(), AbortReason> {
    let mut pages = EntityPages::new(scope.kind, scope.after.unwrap_or(Uuid::nil()));
    while let Some(page) = pages.next(connection).await? {
        write_page(connection, &page, writer).await?;
    }
    Ok(())
}

async fn write_page(
    connection: &mut PgConnection,
    page: &EntityPage,
    writer: &mut Writer<impl FnMut() -> bool>,
) -> Result<(), AbortReason> {
    let ids = page.ids();
    let mut chains = Chains::stream(connection, &ids);
    for base in &page.entities {
        writer.check_time()?;
        line::write_start(&mut writer.chunk);
        while let Some(amendment) = chains.next_of(base.id).await? {
            writer.check_time()?;
            line::write_amendment(&mut writer.chunk, &amendment);
            writer.write_if_full()?;
        }
        let content = page.contents.get(&base.id).map(Content::fields).transpose()?;
        let fields = base.canonical_fields(&content.unwrap_or_default())?;
        line::write_end(&mut writer.chunk, base, &fields);
        writer.last_entity = base.id;
        writer.entities += 1;
        writer.write_if_full()?;
    }
    Ok(())
}

/// Collects lines into chunks, and hashes and spools them.
struct Writer<TimeIsUp> {
    chunk: Vec<u8>,
    hash: Sha256,
    entities: u64,
    last_entity: Uuid,
    spool: SpoolWriter,
    time_is_up: TimeIsUp,
}

impl<TimeIsUp: FnMut() -> bool> Writer<TimeIsUp> {
    fn new(spool: SpoolWriter, time_is_up: TimeIsUp) -> Self {
        Self {
            chunk: Vec::with_capacity(2 * CHUNK_BYTES),
            hash: Sha256::new(),
            entities: 0,
            last_entity: Uuid::nil(),
            spool,
            time_is_up,
        }
    }

    /// Once the time is up, writes what is complete and returns an error.
    fn check_time(&mut self) -> Result<(), AbortReason> {
        if !(self.time_is_up)() {
            return Ok(());
        }
        self.spool.write(&self.chunk)?;
        Err(AbortReason::ReadTimeout { after: self.last_entity })
    }

    fn write_if_full(&mut self) -> Result<(), AbortReason> {
        if self.chunk.len() >= CHUNK_BYTES {
            self.hash.update(&self.chunk);
            self.spool.write(&self.chunk)?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// Writes the rest and the manifest; returns the number of entities.
    fn finish(mut self) -> Result<u64, AbortReason> {
        self.hash.update(&self.chunk);
        let sha256 = Digest32(self.hash.finalize().into());
        let manifest = Manifest { entities: self.entities, sha256 };
        self.chunk.extend(format!("{manifest}\n").bytes());
        self.spool.write(&self.chunk)?;
        self.spool.finish();
        Ok(self.entities)
    }
}

/// A part of the body, or its end.
type Part = Option<Bytes>;

#[derive(Debug, Clone, Copy)]
struct SendLimits {
    /// Time for the client to receive the export.
    total: Duration,
    /// Time for the client to accept the next part.
    part: Duration,
}

/// Sends the spooled bytes; returns their number.
async fn send(
    spool: SpoolReader,
    sender: mpsc::Sender<Part>,
    limits: SendLimits,
) -> Result<u64, AbortReason> {
    let sent = timeout(limits.total, send_all(spool, sender, limits.part)).await;
    sent.map_err(|_| AbortReason::SendTimeout).flatten()
}

async fn send_all(
    mut spool: SpoolReader,
    sender: mpsc::Sender<Part>,
    part_timeout: Duration,
) -> Result<u64, AbortReason> {
    let mut sent = 0;
    loop {
        let part = spool.next().await?;
        sent += part.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let is_end = part.is_none();
        match timeout(part_timeout, sender.send(part)).await {
            Ok(Ok(())) if is_end => return Ok(sent),
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(AbortReason::ClientUnavailable),
        }
    }
}

/// Returns the parts as a body. If the end is missing, the body ends with an error, so that the
/// client detects the incomplete file.
fn body_stream(receiver: mpsc::Receiver<Part>) -> Body {
    stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(bytes)) => Some((Ok(bytes), Some(receiver))),
            Some(None) => None,
            None => Some((Err(ExportAborted), None)),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_client_that_accepts_no_data_is_cut_off() {
        let (writer, spool) = spool::create(100).unwrap();
        writer.write(&[1]).unwrap();
        writer.finish();
        // There is room for the first part, but not for the end.
        let (sender, mut receiver) = mpsc::channel(1);
        let limits = SendLimits { total: LONG, part: Duration::ZERO };
        let sent = send(spool, sender, limits).await;
        assert!(matches!(sent, Err(AbortReason::ClientUnavailable)), "{sent:?}");
        assert!(receiver.recv().await.unwrap().is_some());
        assert!(receiver.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_client_that_takes_too_long_is_cut_off() {
        let (_writer, spool) = spool::create(100).unwrap();
        let (sender, _receiver) = mpsc::channel(1);
        let limits = SendLimits { total: Duration::ZERO, part: LONG };
        let sent = send(spool, sender, limits).await;
        assert!(matches!(sent, Err(AbortReason::SendTimeout)), "{sent:?}");
    }
}
