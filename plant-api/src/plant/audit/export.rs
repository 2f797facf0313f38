//! Streams all entities with their chains, one line each, from one snapshot. [`super::line`] and
//! `docs/chain.md` describe the format.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use sqlx::{Postgres, Transaction};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::line::{self, Manifest};
use super::pages::{EntityPage, EntityPages};
use super::sql;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::plant::chain::Digest32;
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::content::Content;

/// Size in bytes from which a chunk is sent.
const CHUNK_BYTES: usize = 64 * 1024;

/// Maximum number of chunks buffered for the client.
const MAX_BUFFERED_CHUNKS: usize = 4;

/// Timeout for the client to accept a chunk. While an export runs, PostgreSQL cannot vacuum rows
/// that changed since its start.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The export ended before its manifest; the file is incomplete.
#[derive(Debug, thiserror::Error)]
#[error("the export was aborted")]
pub struct ExportAborted;

/// Exports the entities of one kind, or all, as a stream that ends with the manifest. `shutdown`
/// aborts the export.
///
/// # Errors
/// [`Error::Conflict`] while another export runs, in any replica.
pub async fn export(
    db: &Db,
    shutdown: CancellationToken,
    kind: Option<Kind>,
) -> Result<impl Stream<Item = Result<Bytes, ExportAborted>> + use<>> {
    let mut tx = db.begin_snapshot().await?;
    sql::disable_statement_timeout(&mut *tx).await?;
    if !sql::try_lock_export(&mut *tx).await? {
        let message = "another export is running; retry after it has finished";
        return Err(Error::Conflict(message.into()));
    }
    let (sender, receiver) = mpsc::channel(MAX_BUFFERED_CHUNKS);
    tokio::spawn(async move {
        let writer = Writer::new(sender);
        let result = tokio::select! {
            result = write_all(tx, kind, writer) => result,
            () = shutdown.cancelled() => Err(AbortReason::ShuttingDown),
        };
        match result {
            Ok(entities) => tracing::info!(entities, "export finished"),
            Err(reason) => tracing::warn!(%reason, "export aborted"),
        }
    });
    Ok(body_stream(receiver))
}

/// Why an export was aborted.
#[derive(Debug, thiserror::Error)]
enum AbortReason {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error("the client disconnected or accepted no data for {SEND_TIMEOUT:?}")]
    ClientUnavailable,
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl From<sqlx::Error> for AbortReason {
    fn from(source: sqlx::Error) -> Self {
        Self::Failed(source.into())
    }
}

async fn write_all(
    mut tx: Transaction<'static, Postgres>,
    kind: Option<Kind>,
    mut writer: Writer,
) -> Result<u64, AbortReason> {
    let mut pages = EntityPages::new(kind, Uuid::nil());
    while let Some(page) = pages.next(&mut tx).await? {
        write_page(&mut tx, page, &mut writer).await?;
    }
    // Release the lock before the manifest: a client that has it may start the next export at once.
    tx.rollback().await?;
    writer.finish().await
}

async fn write_page(
    tx: &mut Transaction<'static, Postgres>,
    page: EntityPage,
    writer: &mut Writer,
) -> Result<(), AbortReason> {
    let ids = page.ids();
    let mut chains = pin!(entity::sql::stream_chains(&mut **tx, &ids).peekable());
    for base in &page.entities {
        line::write_start(&mut writer.chunk);
        while let Some(row) = chains
            .as_mut()
            .next_if(|row| row.as_ref().is_ok_and(|(id, _)| *id == base.id) || row.is_err())
            .await
        {
            line::write_amendment(&mut writer.chunk, &row?.1);
            writer.send_if_full().await?;
        }
        let content = page.contents.get(&base.id).map(Content::fields).transpose()?;
        let fields = base.canonical_fields(&content.unwrap_or_default())?;
        line::write_end(&mut writer.chunk, base, &fields);
        writer.entities += 1;
        writer.send_if_full().await?;
    }
    Ok(())
}

/// Buffers lines into chunks, and hashes and sends them.
struct Writer {
    chunk: Vec<u8>,
    hash: Sha256,
    entities: u64,
    sender: mpsc::Sender<Chunk>,
}

struct Chunk {
    bytes: Bytes,
    last: bool,
}

impl Writer {
    fn new(sender: mpsc::Sender<Chunk>) -> Self {
        Self {
            chunk: Vec::with_capacity(2 * CHUNK_BYTES),
            hash: Sha256::new(),
            entities: 0,
            sender,
        }
    }

    async fn send_if_full(&mut self) -> Result<(), AbortReason> {
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.hash.update(&self.chunk);
        let bytes = std::mem::replace(&mut self.chunk, Vec::with_capacity(2 * CHUNK_BYTES));
        self.send(Chunk { bytes: bytes.into(), last: false }).await
    }

    async fn finish(mut self) -> Result<u64, AbortReason> {
        self.hash.update(&self.chunk);
        let sha256 = Digest32(std::mem::take(&mut self.hash).finalize().into());
        let manifest = Manifest { entities: self.entities, sha256 };
        self.chunk.extend(format!("{manifest}\n").bytes());
        let bytes = std::mem::take(&mut self.chunk).into();
        self.send(Chunk { bytes, last: true }).await?;
        Ok(self.entities)
    }

    async fn send(&self, chunk: Chunk) -> Result<(), AbortReason> {
        match timeout(SEND_TIMEOUT, self.sender.send(chunk)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(AbortReason::ClientUnavailable),
        }
    }
}

/// Returns the chunks as a body. If the last chunk is missing, the body ends with an error, so that
/// the client detects the incomplete file.
fn body_stream(
    receiver: mpsc::Receiver<Chunk>,
) -> impl Stream<Item = Result<Bytes, ExportAborted>> {
    stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        Some(match receiver.recv().await {
            Some(Chunk { bytes, last }) => (Ok(bytes), (!last).then_some(receiver)),
            None => (Err(ExportAborted), None),
        })
    })
}
