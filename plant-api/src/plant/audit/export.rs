//! Everything as a file: a line for each entity and its chain, streamed as it is read, as of one
//! moment. The file's format: [`super::line`] and `docs/chain.md`.

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
use super::sql;
use super::walk::{PageOfEntities, Walk};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::plant::chain::Digest32;
use crate::plant::entity::{self, Kind};
use crate::plant::genesis::content::Content;

/// Bytes that go to the client at once.
const PIECE: usize = 64 * 1024;

/// Pieces that wait for a client; reading goes no further than that ahead.
const PIECES_AHEAD: usize = 4;

/// What a client may take to accept one piece. Meanwhile the database cannot forget what has
/// changed since the export began.
const PATIENCE: Duration = Duration::from_secs(30);

/// The export ended before its manifest.
#[derive(Debug, thiserror::Error)]
#[error("the export broke off")]
pub struct BrokenOff;

/// Exports the entities of one kind, or all, until `stop`. Bytes come as they are read; the last
/// of them are the manifest.
///
/// # Errors
/// [`Error::Conflict`] while another export runs, here or in another replica.
pub async fn export(
    db: &Db,
    stop: CancellationToken,
    kind: Option<Kind>,
) -> Result<impl Stream<Item = Result<Bytes, BrokenOff>> + use<>> {
    let mut tx = db.snapshot().await?;
    sql::lift_the_time_limit(&mut *tx).await?;
    if !sql::become_the_exporter(&mut *tx).await? {
        let busy = "another export is running; try again when it has ended";
        return Err(Error::Conflict(busy.into()));
    }
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(async move {
        let writer = Writer::to(sender);
        let ended = tokio::select! {
            ended = write_all(tx, kind, writer) => ended,
            () = stop.cancelled() => Err(Ended::Stopping),
        };
        match ended {
            Ok(entities) => tracing::info!(entities, "exported"),
            Err(reason) => tracing::warn!(%reason, "an export broke off"),
        }
    });
    Ok(pieces(receiver))
}

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Failed(#[from] Error),
    #[error("the client went away or took nothing for {PATIENCE:?}")]
    NobodyListens,
    #[error("the service is stopping")]
    Stopping,
}

impl From<sqlx::Error> for Ended {
    fn from(source: sqlx::Error) -> Self {
        Self::Failed(source.into())
    }
}

async fn write_all(
    mut tx: Transaction<'static, Postgres>,
    kind: Option<Kind>,
    mut writer: Writer,
) -> Result<u64, Ended> {
    let mut walk = Walk::new(kind, Uuid::nil());
    while let Some(page) = walk.next(&mut tx).await? {
        write_page(&mut tx, page, &mut writer).await?;
    }
    // Whoever has the manifest may ask for the next export at once.
    tx.rollback().await?;
    writer.finish().await
}

async fn write_page(
    tx: &mut Transaction<'static, Postgres>,
    page: PageOfEntities,
    writer: &mut Writer,
) -> Result<(), Ended> {
    let ids = page.ids();
    let mut chains = pin!(entity::sql::chains(&mut **tx, &ids).peekable());
    for shared in &page.entities {
        line::begin(&mut writer.piece);
        while let Some(row) = chains
            .as_mut()
            .next_if(|row| row.as_ref().is_ok_and(|(id, _)| *id == shared.id) || row.is_err())
            .await
        {
            line::amendment(&mut writer.piece, &row?.1);
            writer.send_if_full().await?;
        }
        let content = page.contents.get(&shared.id).map(Content::fields).transpose()?;
        let row = shared.row(&content.unwrap_or_default())?;
        line::end(&mut writer.piece, shared, &row);
        writer.entities += 1;
        writer.send_if_full().await?;
    }
    Ok(())
}

/// Gathers lines into pieces, hashing what it sends.
struct Writer {
    piece: Vec<u8>,
    hash: Sha256,
    entities: u64,
    sender: mpsc::Sender<Piece>,
}

struct Piece {
    bytes: Bytes,
    last: bool,
}

impl Writer {
    fn to(sender: mpsc::Sender<Piece>) -> Self {
        Self { piece: Vec::with_capacity(2 * PIECE), hash: Sha256::new(), entities: 0, sender }
    }

    async fn send_if_full(&mut self) -> Result<(), Ended> {
        if self.piece.len() < PIECE {
            return Ok(());
        }
        self.hash.update(&self.piece);
        let bytes = std::mem::replace(&mut self.piece, Vec::with_capacity(2 * PIECE));
        self.send(Piece { bytes: bytes.into(), last: false }).await
    }

    async fn finish(mut self) -> Result<u64, Ended> {
        self.hash.update(&self.piece);
        let sha256 = Digest32(std::mem::take(&mut self.hash).finalize().into());
        let manifest = Manifest { entities: self.entities, sha256 };
        self.piece.extend(format!("{manifest}\n").bytes());
        let bytes = std::mem::take(&mut self.piece).into();
        self.send(Piece { bytes, last: true }).await?;
        Ok(self.entities)
    }

    async fn send(&self, piece: Piece) -> Result<(), Ended> {
        match timeout(PATIENCE, self.sender.send(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Ended::NobodyListens),
        }
    }
}

/// The pieces as a body. One that ends without its last piece ends with an error, so that a
/// client sees that its file is not whole.
fn pieces(receiver: mpsc::Receiver<Piece>) -> impl Stream<Item = Result<Bytes, BrokenOff>> {
    stream::unfold(Some(receiver), async |receiver| {
        let mut receiver = receiver?;
        Some(match receiver.recv().await {
            Some(Piece { bytes, last }) => (Ok(bytes), (!last).then_some(receiver)),
            None => (Err(BrokenOff), None),
        })
    })
}
