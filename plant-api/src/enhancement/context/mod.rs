//! Context of a ticket: what is known about similar tickets and about the systems that it names.
//!
//! The sources are searched side by side, and each may fail alone: an enhancement without articles is
//! better than none.

mod addresses;
mod sql;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::db::{Db, TenantId, TenantScope};
use crate::error::Result;

/// Timeout for each source.
const TIMEOUT: Duration = Duration::from_secs(30);

const MAX_SIMILAR_TICKETS: i32 = 5;
const MAX_ARTICLES: i32 = 3;
/// Maximum number of addresses that are looked up.
const MAX_ADDRESSES: usize = 10;

/// A ticket of the tenant that was resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SimilarTicket {
    pub ticket_id: String,
    pub description: String,
    pub resolution: String,
}

/// An article of the tenant's knowledge base.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Article {
    pub slug: String,
    pub title: String,
    pub body: String,
}

/// A system of the tenant's inventory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct System {
    pub address: String,
    pub hostname: String,
    pub role: String,
}

/// What was found for a ticket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    pub similar_tickets: Vec<SimilarTicket>,
    pub articles: Vec<Article>,
    pub systems: Vec<System>,
    /// Sources that failed.
    pub failed: Vec<&'static str>,
}

impl Context {
    pub fn is_empty(&self) -> bool {
        self.similar_tickets.is_empty() && self.articles.is_empty() && self.systems.is_empty()
    }

    /// Returns what is stored with the ticket: which rows the writer was given, and which sources
    /// failed.
    pub fn record(&self) -> Value {
        let similar: Vec<_> = self.similar_tickets.iter().map(|found| &found.ticket_id).collect();
        let articles: Vec<_> = self.articles.iter().map(|found| &found.slug).collect();
        let systems: Vec<_> = self.systems.iter().map(|found| &found.address).collect();
        json!({
            "similar_tickets": similar, "articles": articles, "systems": systems,
            "failed_sources": self.failed,
        })
    }
}

/// Searches all sources for a ticket with this text.
pub async fn gather(db: &Db, tenant: &TenantId, text: &str) -> Context {
    let addresses = addresses::find(text, MAX_ADDRESSES);
    let (similar, articles, systems) = tokio::join!(
        search("similar_tickets", async {
            let mut tx = db.begin_in(TenantScope::One(tenant)).await?;
            Ok(sql::similar_tickets(&mut *tx, text, MAX_SIMILAR_TICKETS).await?)
        }),
        search("articles", async {
            let mut tx = db.begin_in(TenantScope::One(tenant)).await?;
            Ok(sql::articles(&mut *tx, text, MAX_ARTICLES).await?)
        }),
        search("systems", async {
            if addresses.is_empty() {
                return Ok(Vec::new());
            }
            let mut tx = db.begin_in(TenantScope::One(tenant)).await?;
            Ok(sql::systems(&mut *tx, tenant, &addresses).await?)
        }),
    );
    let failed = [similar.as_ref().err(), articles.as_ref().err(), systems.as_ref().err()];
    Context {
        failed: failed.into_iter().flatten().copied().collect(),
        similar_tickets: similar.unwrap_or_default(),
        articles: articles.unwrap_or_default(),
        systems: systems.unwrap_or_default(),
    }
}

/// Searches one source; returns its name if it fails or takes too long.
async fn search<T>(
    name: &'static str,
    rows: impl Future<Output = Result<Vec<T>>>,
) -> Result<Vec<T>, &'static str> {
    let error = match tokio::time::timeout(TIMEOUT, rows).await {
        Ok(Ok(rows)) => return Ok(rows),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("timed out after {TIMEOUT:?}"),
    };
    tracing::warn!(source = name, error, "a source of context failed");
    Err(name)
}
