//! All entities in the order of their ids, a page at a time, so that memory does not grow with
//! their number.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::Result;
use crate::plant::entity::{self, Kind, Shared};
use crate::plant::genesis::content::{Content, contents};

/// Entities of one page.
const PAGE: i64 = 200;

const KINDS: [Kind; 5] = [Kind::Skill, Kind::JobRole, Kind::Team, Kind::Agent, Kind::Industry];

/// Where the walk is.
#[derive(Debug)]
pub struct Walk {
    kind: Option<Kind>,
    after: Uuid,
}

/// Some entities in the order of their ids.
#[derive(Debug)]
pub struct PageOfEntities {
    /// Their shared parts.
    pub entities: Vec<Shared>,
    /// Their contents, as far as there are any.
    pub contents: HashMap<Uuid, Content>,
}

impl Walk {
    /// A walk over the entities of one kind, or of all, that come after `after`.
    pub fn new(kind: Option<Kind>, after: Uuid) -> Self {
        Self { kind, after }
    }

    /// The next page; `None` at the end.
    pub async fn next(&mut self, connection: &mut PgConnection) -> Result<Option<PageOfEntities>> {
        let entities = entity::sql::list(&mut *connection, self.kind, self.after, PAGE).await?;
        let Some(last) = entities.last() else { return Ok(None) };
        self.after = last.id;
        Ok(Some(PageOfEntities::of(connection, entities).await?))
    }
}

impl PageOfEntities {
    /// These entities with their contents: a statement for each kind that is among them.
    pub async fn of(connection: &mut PgConnection, entities: Vec<Shared>) -> Result<Self> {
        let mut all = HashMap::new();
        for kind in KINDS {
            let of_kind = entities.iter().filter(|entity| entity.kind == kind);
            let ids: Vec<_> = of_kind.map(|entity| entity.id).collect();
            if !ids.is_empty() {
                all.extend(contents(&mut *connection, kind, &ids).await?);
            }
        }
        Ok(Self { entities, contents: all })
    }

    /// Their ids.
    pub fn ids(&self) -> Vec<Uuid> {
        self.entities.iter().map(|entity| entity.id).collect()
    }
}
