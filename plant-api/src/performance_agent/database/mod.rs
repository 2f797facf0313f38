//! Metrics of PostgreSQL: connections, statements, tables, indexes and queues.
//!
//! The statistics are those that the service's role may read. Only the statements that other
//! connections run are hidden from it; a function of the database's owner returns those of this
//! database. Texts of statements are stored without their literals, which can be data or secrets.

mod sql;
mod statement_text;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::db::Db;
use crate::error::Result;

pub use statement_text::without_literals;

/// Metrics of the service's database. A part that could not be read is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotDatabase)]
pub struct DatabaseMetrics {
    /// Connections of clients to this database.
    pub connections: Option<ConnectionMetrics>,
    /// Statements that run now, the longest first.
    pub running_statements: Option<Vec<RunningStatement>>,
    /// Statements of the service with the highest mean time; null without `pg_stat_statements`.
    pub slowest_statements: Option<Vec<StatementMetrics>>,
    /// Tables, the largest first.
    pub tables: Option<Vec<TableMetrics>>,
    /// Indexes that no statement has used, except those of constraints; the largest first.
    pub unused_indexes: Option<Vec<IndexMetrics>>,
    /// Jobs by kind.
    pub jobs: Option<Vec<JobMetrics>>,
}

/// Connections to a database.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotConnections)]
pub struct ConnectionMetrics {
    /// All connections, without that of the performance agent.
    #[schema(example = 16)]
    pub total: i64,
    /// Connections that run a statement.
    #[schema(example = 2)]
    pub active: i64,
    /// Connections that wait for a lock.
    #[schema(example = 0)]
    pub waiting_for_locks: i64,
    /// `max_connections` of the server.
    #[schema(example = 200)]
    pub max: i64,
}

/// A statement that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningStatement {
    /// Text without literals.
    #[schema(example = "select pg_sleep(?)")]
    pub statement: String,
    /// Process id of the backend, for `pg_cancel_backend`.
    #[schema(example = 4242)]
    pub pid: i32,
    /// Time since the statement started.
    #[schema(example = 3.4)]
    pub seconds: f64,
    /// What it waits for, such as `Lock`; null while it computes.
    #[schema(example = "Lock")]
    pub wait_event_type: Option<String>,
}

/// A statement as `pg_stat_statements` has seen it since the statistics were reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StatementMetrics {
    /// Text without literals.
    #[schema(example = "select id from agent where name = $1")]
    pub statement: String,
    #[schema(example = 5120)]
    pub calls: i64,
    #[schema(example = 0.4)]
    pub mean_ms: f64,
    #[schema(example = 12.5)]
    pub max_ms: f64,
    #[schema(example = 2048.0)]
    pub total_ms: f64,
    #[schema(example = 5120)]
    pub rows: i64,
}

/// A table. Counts are since the statistics were reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotTable)]
pub struct TableMetrics {
    #[schema(example = "amendment")]
    pub table: String,
    /// Size with indexes in bytes.
    #[schema(example = 4_194_304)]
    pub bytes: i64,
    /// Estimated number of rows.
    #[schema(example = 12_000)]
    pub rows: i64,
    /// Estimated number of rows that were deleted or replaced, but not yet vacuumed.
    #[schema(example = 300)]
    pub dead_rows: i64,
    /// Number of dead rows at which autovacuum starts.
    #[schema(example = 2450.0)]
    pub autovacuum_at: f64,
    /// Whether autovacuum is enabled for the table.
    #[schema(example = true)]
    pub autovacuum: bool,
    /// When the table was last vacuumed; null: never.
    pub last_vacuum: Option<DateTime<Utc>>,
    #[schema(example = 3)]
    pub sequential_scans: i64,
    /// Rows that sequential scans have read.
    #[schema(example = 36_000)]
    pub sequential_rows: i64,
    #[schema(example = 90_000)]
    pub index_scans: i64,
    /// Rows that were inserted, updated or deleted.
    #[schema(example = 24_000)]
    pub writes: i64,
}

/// An index that was not used since the statistics were reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotIndex)]
pub struct IndexMetrics {
    #[schema(example = "agent_tags_idx")]
    pub index: String,
    #[schema(example = "agent")]
    pub table: String,
    /// Size in bytes.
    #[schema(example = 8_388_608)]
    pub bytes: i64,
    /// Scans and writes of the table.
    #[schema(example = 114_000)]
    pub uses_of_table: i64,
    /// Statement that creates the index.
    #[schema(example = "CREATE INDEX agent_tags_idx ON public.agent USING gin (tags)")]
    pub definition: String,
}

/// Jobs of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = SnapshotJobs)]
pub struct JobMetrics {
    #[schema(example = "generation")]
    pub kind: String,
    /// Jobs that a worker could claim.
    #[schema(example = 12)]
    pub ready: i64,
    /// Jobs that run.
    #[schema(example = 16)]
    pub running: i64,
    /// Workers that run them.
    #[schema(example = 1)]
    pub workers: i64,
    /// Seconds since the oldest of the jobs could be claimed; null without any.
    #[schema(example = 0.4)]
    pub oldest_ready_seconds: Option<f64>,
    /// Whether the kind is paused.
    #[schema(example = false)]
    pub paused: bool,
}

/// Reads the metrics of the database on the connection of the performance agent. Appends to `notes`
/// what could not be read.
///
/// # Errors
/// As [`Db::acquire_monitor`].
pub async fn read(db: &Db, notes: &mut Vec<String>) -> Result<DatabaseMetrics> {
    let mut connection = db.acquire_monitor().await?;
    let connection = &mut *connection;
    let mut metrics = DatabaseMetrics::default();
    let (_, max) = db.server_usage();
    match sql::find_connections(&mut *connection).await {
        Ok(found) => metrics.connections = Some(ConnectionMetrics { max, ..found }),
        Err(error) => add_note(notes, "connections", &error),
    }
    match sql::list_running(&mut *connection).await {
        Ok(statements) => metrics.running_statements = Some(statements),
        Err(error) => add_note(notes, "running statements", &error),
    }
    match sql::list_jobs(&mut *connection).await {
        Ok(jobs) => metrics.jobs = Some(jobs),
        Err(error) => add_note(notes, "jobs", &error),
    }
    match sql::list_tables(&mut *connection).await {
        Ok(tables) => metrics.tables = Some(tables),
        Err(error) => add_note(notes, "tables", &error),
    }
    match sql::list_unused_indexes(&mut *connection).await {
        Ok(indexes) => metrics.unused_indexes = Some(indexes),
        Err(error) => add_note(notes, "indexes", &error),
    }
    metrics.slowest_statements = read_statements(connection, notes).await;
    Ok(metrics)
}

async fn read_statements(
    connection: &mut PgConnection,
    notes: &mut Vec<String>,
) -> Option<Vec<StatementMetrics>> {
    match sql::has_statement_statistics(&mut *connection).await {
        Ok(true) => {}
        Ok(false) => {
            notes.push(
                "slowest statements are unknown: the extension pg_stat_statements is not installed"
                    .into(),
            );
            return None;
        }
        Err(error) => {
            add_note(notes, "statements", &error);
            return None;
        }
    }
    let statements = sql::list_statements(connection).await;
    statements.map_err(|error| add_note(notes, "statements", &error)).ok()
}

fn add_note(notes: &mut Vec<String>, what: &str, error: &sqlx::Error) {
    // The text of other errors could contain data.
    let reason = error.as_database_error().map_or("no response", |error| error.message());
    notes.push(format!("{what} could not be read: {reason}"));
}
