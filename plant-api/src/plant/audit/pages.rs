//! Reads all entities in the order of their ids, one page at a time, so that memory use does not
//! depend on their number.

use std::collections::HashMap;
use std::pin::Pin;

use futures::StreamExt;
use futures::stream::{BoxStream, Peekable};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::chain::Amendment;
use crate::plant::entity::{self, BaseEntity, Kind};
use crate::plant::genesis::content::{Content, find_contents};

/// Maximum number of entities in a page.
const PAGE_SIZE: i64 = 200;

/// Size of the custom attributes in a page, as JSON in bytes, from which the page ends.
const PAGE_BYTES: i64 = 1 << 20;

/// A cursor over all entities.
#[derive(Debug)]
pub struct EntityPages {
    kind: Option<Kind>,
    after: Uuid,
}

/// Entities with their contents, in the order of their ids.
#[derive(Debug)]
pub struct EntityPage {
    /// Base rows of the entities.
    pub entities: Vec<BaseEntity>,
    /// Contents by entity id; missing for an entity without a row of its kind.
    pub contents: HashMap<Uuid, Content>,
}

impl EntityPages {
    /// Creates a cursor over the entities of one kind, or of all, with ids greater than `after`.
    pub fn new(kind: Option<Kind>, after: Uuid) -> Self {
        Self { kind, after }
    }

    /// Reads the next page; `None` at the end.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<Option<EntityPage>> {
        let entities =
            entity::sql::list(&mut *connection, self.kind, self.after, PAGE_SIZE, PAGE_BYTES)
                .await?;
        let Some(last) = entities.last() else { return Ok(None) };
        self.after = last.id;
        Ok(Some(EntityPage::load(connection, entities).await?))
    }
}

impl EntityPage {
    /// Reads the contents of `entities`, with one statement per kind.
    pub async fn load(connection: &mut PgConnection, entities: Vec<BaseEntity>) -> Result<Self> {
        let mut by_id = HashMap::new();
        for &kind in Kind::ALL {
            let of_kind = entities.iter().filter(|entity| entity.kind == kind);
            let ids: Vec<_> = of_kind.map(|entity| entity.id).collect();
            if !ids.is_empty() {
                by_id.extend(find_contents(&mut *connection, kind, &ids).await?);
            }
        }
        Ok(Self { entities, contents: by_id })
    }

    /// Returns the ids in the order of `entities`.
    pub fn ids(&self) -> Vec<Uuid> {
        self.entities.iter().map(|entity| entity.id).collect()
    }
}

/// The chains of a page's entities, streamed in the order of the page, so that memory use does not
/// depend on their length.
pub struct Chains<'a>(Peekable<BoxStream<'a, sqlx::Result<(Uuid, Amendment)>>>);

impl<'a> Chains<'a> {
    /// Starts to stream the chains of the entities `ids`, which are in ascending order.
    pub fn stream(connection: &'a mut PgConnection, ids: &'a [Uuid]) -> Self {
        Self(entity::sql::stream_chains(connection, ids).peekable())
    }

    /// Returns the next amendment of `entity`; `None` at the end of its chain.
    pub async fn next_of(&mut self, entity: Uuid) -> Result<Option<Amendment>> {
        let is_next = |row: &sqlx::Result<(Uuid, Amendment)>| {
            row.as_ref().map_or(true, |(id, _)| *id == entity)
        };
        let row = Pin::new(&mut self.0).next_if(is_next).await.transpose()?;
        Ok(row.map(|(_, amendment)| amendment))
    }
}
