//! Reads all entities in the order of their ids, one page at a time, so that memory use does not
//! depend on their number.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::entity::{self, BaseEntity, Kind};
use crate::plant::genesis::content::{Content, find_contents};

/// Number of entities in a page.
const PAGE_SIZE: i64 = 200;

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
            entity::sql::list(&mut *connection, self.kind, self.after, PAGE_SIZE).await?;
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

    pub fn ids(&self) -> Vec<Uuid> {
        self.entities.iter().map(|entity| entity.id).collect()
    }
}
