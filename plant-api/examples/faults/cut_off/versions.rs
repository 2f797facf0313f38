//! The versions that the database shows, and those that readers were served.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgPool;

/// The agents under test.
pub struct Versions {
    agents: Vec<String>,
}

/// Lengths of the agents' chains, by agent id. Each change of an agent appends an amendment.
pub type Shown = HashMap<String, i64>;

/// What one reader was served.
#[derive(Default)]
pub struct Served {
    /// Agents in the responses.
    pub agents: u64,
    pub failed_reads: u64,
    /// The longest chain that the database had shown before a version was served, by version hash.
    longest: HashMap<String, i64>,
}

/// Result of the comparison of all versions that were served.
#[derive(Default)]
pub struct Findings {
    /// Writes that were committed.
    pub committed: usize,
    /// Versions that were served after the database had shown a later one.
    pub stale: usize,
    /// One of them.
    pub example: Option<String>,
}

impl Served {
    /// Adds an agent that was served after the database had shown `shown`.
    pub fn add_agent(&mut self, agent: &Value, shown: &Shown) {
        let id = agent["id"].as_str().unwrap_or_default();
        let (Some(length), Some(hash)) = (shown.get(id), agent["version_hash"].as_str()) else {
            return;
        };
        self.agents += 1;
        let longest = self.longest.entry(hash.to_owned()).or_default();
        *longest = (*longest).max(*length);
    }

    /// Adds what another reader was served.
    pub fn add(&mut self, other: Self) {
        self.agents += other.agents;
        self.failed_reads += other.failed_reads;
        for (hash, length) in other.longest {
            let longest = self.longest.entry(hash).or_default();
            *longest = (*longest).max(length);
        }
    }
}

impl Versions {
    pub fn new(agents: Vec<String>) -> Self {
        Self { agents }
    }

    /// Returns the id of one of the agents.
    pub fn agent(&self, n: usize) -> &str {
        &self.agents[n % self.agents.len()]
    }

    /// Reads the lengths of the chains.
    pub async fn in_database(&self, database: &PgPool) -> sqlx::Result<Shown> {
        let sql = "select id::text, chain_length from base_entity where id = any($1::uuid[])";
        let rows: Vec<(String, i64)> =
            sqlx::query_as(sql).bind(&self.agents).fetch_all(database).await?;
        Ok(rows.into_iter().collect())
    }

    /// Compares every version that was served with the length of the chain at its end.
    pub async fn compare(&self, database: &PgPool, served: &Served) -> sqlx::Result<Findings> {
        let sql = "select encode(link, 'hex'), sequence + 1 from amendment
            where entity_id = any($1::uuid[])";
        let lengths: HashMap<String, i64> = sqlx::query_as::<_, (String, i64)>(sql)
            .bind(&self.agents)
            .fetch_all(database)
            .await?
            .into_iter()
            .collect();
        let mut findings =
            Findings { committed: lengths.len() - self.agents.len(), ..Findings::default() };
        for (hash, shown) in &served.longest {
            // A version that the database does not have was never committed.
            let length = lengths.get(hash).copied().unwrap_or_default();
            if length < *shown {
                findings.stale += 1;
                findings.example =
                    Some(format!("version {length} was served, {shown} was committed"));
            }
        }
        Ok(findings)
    }
}
