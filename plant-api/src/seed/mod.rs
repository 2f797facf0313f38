//! Test data: a catalogue with its hash chains, customers with their hired agents, and for load tests
//! accounts and a tenant with what is known about its tickets.
//!
//! Every row is derived from the seed and its index: the same arguments give the same rows in any
//! database, and a larger count adds rows to those of a smaller one. Names come from the files in
//! `seeds/`. Seeding is one transaction on one connection. It skips existing rows, and changes
//! nothing when other rows already use a name that it needs.

mod accounts;
mod catalogue;
mod chains;
mod files;
mod hires;
mod options;
mod progress;
mod random;
mod search_index;
mod summary;
#[cfg(test)]
mod tests;
mod tickets;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

pub use options::{Action, CheckedOptions, Options, SeedSpec};
pub use summary::{Removed, Seeded, Summary};

use crate::db::{SetupError, notify_caches};
use catalogue::Catalogue;
use files::SeedFiles;
use progress::Progress;

/// Agents per batch. One batch takes PostgreSQL well under a second, nearly all of it to update the
/// search index ([`search_index`]).
const AGENTS_PER_BATCH: usize = 500;
/// Customers per batch, each with about forty rows.
const CUSTOMERS_PER_BATCH: usize = 100;
/// Accounts per batch.
const ACCOUNTS_PER_BATCH: usize = 1000;

/// Key of the advisory lock that serializes seeding; no other code uses it.
const SEED_LOCK_KEY: i64 = 0x706c_616e_745f_7364;

/// Errors of seeding and cleaning. The transaction is rolled back; only if the connection is lost
/// during the commit, it is unknown whether it took effect.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The database URL is invalid.
    #[error("invalid database URL: {0}")]
    Url(#[source] sqlx::Error),
    /// The database is unreachable or not migrated.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Other rows already use names that are to be seeded.
    #[error(
        "names already used by other rows: {}; nothing was changed. Run again with --reset to \
         empty the tables first, with the --seed of the existing rows, or on another database",
        join_first(.0),
    )]
    NamesTaken(Vec<String>),
    /// A file in `seeds/` is invalid.
    #[error("invalid file in seeds/: {0}")]
    SeedFiles(#[from] toml::de::Error),
    /// A row has no canonical JSON form.
    #[error("invalid row: {0}; nothing was changed")]
    Row(#[from] crate::error::Error),
    /// A statement failed or the connection was lost.
    #[error("database error: {0}; nothing was changed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for SeedError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // undefined_table, undefined_column
        if matches!(code.as_deref(), Some("42P01" | "42703")) {
            Self::Setup(SetupError::NotMigrated(error.to_string()))
        } else {
            Self::Database(error)
        }
    }
}

/// Joins the first five names and counts the rest.
fn join_first(names: &[String]) -> String {
    const MAX_LISTED: usize = 5;
    let listed = names.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MAX_LISTED);
    if more == 0 { listed } else { format!("{listed} and {more} more") }
}

/// Connects to the database and seeds or cleans it.
///
/// # Errors
/// [`SeedError`]. The database is unchanged then, unless the connection was lost during the commit.
pub async fn run(checked: &CheckedOptions) -> Result<Summary, SeedError> {
    let options: PgConnectOptions = checked.database.url.0.parse().map_err(SeedError::Url)?;
    let options = options.application_name("seed_test_data");
    let mut connection =
        PgConnection::connect_with(&options).await.map_err(|e| SetupError::Connection(e.into()))?;
    let summary = match checked.action {
        Action::Seed { spec, reset } => {
            Summary::Seeded(seed_database(&mut connection, spec, reset).await?)
        }
        Action::Clean => Summary::Removed(clean(&mut connection).await?),
    };
    // The transaction is committed; an error while closing changes nothing.
    let _ = connection.close().await;
    Ok(summary)
}

/// Inserts all missing rows in one transaction.
///
/// # Errors
/// [`SeedError`]. The database is unchanged then, unless the connection was lost during the commit.
pub async fn seed_database(
    connection: &mut PgConnection,
    spec: SeedSpec,
    reset: bool,
) -> Result<Seeded, SeedError> {
    let files = SeedFiles::read()?;
    let catalogue = Catalogue::new(&files, spec);
    let mut progress = Progress::new(u64::from(spec.agents) + u64::from(spec.customers));
    let mut seeded = Seeded::default();

    let mut tx = connection.begin().await?;
    acquire_seed_lock(&mut tx).await?;
    if reset {
        truncate_tables(&mut tx).await?;
    }
    check_names_are_free(&mut tx, &catalogue).await?;
    catalogue::seed_prerequisites(&mut tx, &catalogue, &mut seeded).await?;
    let bulk = search_index::is_bulk_insert(&mut tx, spec.agents).await?;
    if bulk {
        search_index::enable_pending_list(&mut tx).await?;
    }
    for agents in batches(spec.agents, AGENTS_PER_BATCH) {
        let rows = agents.len();
        catalogue::seed_agents(&mut tx, &catalogue, agents, &mut seeded).await?;
        progress.advance(rows);
    }
    if bulk {
        search_index::flush_pending_list(&mut tx).await?;
    }
    for customers in batches(spec.customers, CUSTOMERS_PER_BATCH) {
        let rows = customers.len();
        hires::seed_customers(&mut tx, &catalogue, customers, &mut seeded).await?;
        progress.advance(rows);
    }
    if spec.users > 0 {
        let hash = accounts::password_hash(&catalogue)?;
        for users in batches(spec.users, ACCOUNTS_PER_BATCH) {
            accounts::seed_accounts(&mut tx, &catalogue, users, &hash, &mut seeded).await?;
        }
    }
    tickets::seed_tickets(&mut tx, &catalogue, &mut seeded).await?;
    notify_caches(&mut tx).await?;
    tx.commit().await?;

    seeded.duration = progress.finish();
    Ok(seeded)
}

/// Deletes the accounts whose email starts with `loadtest`, with the rows that reference them, and
/// the customers that their registration created, unless they have another account or hired agents.
///
/// # Errors
/// [`SeedError`]. The database is unchanged then, unless the connection was lost during the commit.
pub async fn clean(connection: &mut PgConnection) -> Result<Removed, SeedError> {
    let mut tx = connection.begin().await?;
    acquire_seed_lock(&mut tx).await?;
    accounts::sql::delete_payments(&mut tx).await?;
    accounts::sql::delete_idempotency_keys(&mut tx).await?;
    let accounts = accounts::sql::delete_accounts(&mut tx).await?;
    let customers = accounts::sql::delete_customers(&mut tx).await?;
    accounts::sql::delete_login_failures(&mut tx).await?;
    notify_caches(&mut tx).await?;
    tx.commit().await?;
    Ok(Removed { accounts, customers })
}

/// Splits the indexes `0..total` into ranges of at most `batch_size`.
fn batches(total: u32, batch_size: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let total = total as usize;
    (0..total).step_by(batch_size).map(move |start| start..total.min(start + batch_size))
}

/// Waits for other seeding transactions and blocks further ones until this transaction ends.
async fn acquire_seed_lock(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(SEED_LOCK_KEY).execute(tx).await.map(drop)
}

/// Truncates entities, customers and all tables that reference them, the jobs, stored idempotent
/// responses and payment events that contain their ids, and login failures. `truncate` does not fire the triggers that
/// reject deletes; it requires the owner of the tables.
async fn truncate_tables(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "truncate base_entity, customer, idempotency_key, login_failure, job, payment_event
        restart identity cascade"
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Fails with [`SeedError::NamesTaken`] when other rows already use names that are to be seeded.
async fn check_names_are_free(
    tx: &mut PgConnection,
    catalogue: &Catalogue<'_>,
) -> Result<(), SeedError> {
    let spec = catalogue.spec;
    let mut taken = catalogue::find_taken_prerequisite_names(tx, catalogue).await?;
    for agents in batches(spec.agents, AGENTS_PER_BATCH) {
        taken.extend(catalogue::find_taken_agent_names(tx, catalogue, agents).await?);
    }
    for customers in batches(spec.customers, CUSTOMERS_PER_BATCH) {
        taken.extend(hires::find_taken_customers(tx, catalogue, customers).await?);
    }
    for users in batches(spec.users, ACCOUNTS_PER_BATCH) {
        taken.extend(accounts::find_taken_emails(tx, catalogue, users).await?);
    }
    if taken.is_empty() { Ok(()) } else { Err(SeedError::NamesTaken(taken)) }
}
