//! Test data: a catalogue with its hash chains, customers with what they have hired, and accounts
//! that load tests log in with.
//!
//! Every row follows from the seed and its index (`draw`), so the same arguments give the same
//! rows anywhere, and a larger number adds rows to those of a smaller one. Names come from the
//! files in `seeds/` (`names`). All of it is one transaction on one connection: rows that are
//! there are skipped, and when somebody else's row has a name that is wanted, nothing changes.

mod accounts;
mod catalogue;
mod chains;
mod draw;
mod hires;
mod names;
mod options;
mod planted;
mod progress;
mod search;
#[cfg(test)]
mod tests;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

pub use options::{Action, Options, Order, Plan};
pub use planted::{Outcome, Planted, Removed};

use crate::db::SetupError;
use catalogue::Catalogue;
use names::Names;
use progress::Progress;

/// Agents that go to the database in one statement: well under a second of work for it, nearly
/// all of which goes into the index for searches ([`search`]).
const AGENTS_AT_ONCE: usize = 500;
/// Customers that do, each with some forty rows.
const CUSTOMERS_AT_ONCE: usize = 100;

/// Accounts that do, each a row.
const ACCOUNTS_AT_ONCE: usize = 1000;

/// Any number that nobody else locks.
const SEED_LOCK: i64 = 0x706c_616e_745f_7364;

/// Why nothing was planted.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The database's URL is not one.
    #[error("the URL of the database cannot be read: {0}")]
    Url(#[source] sqlx::Error),
    /// The database cannot be reached or is not migrated.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Somebody else's rows have names that are to be planted.
    #[error(
        "the database holds other rows under names that are to be planted: {}; nothing was \
         changed. Run it with --reset to empty the tables first, with the --seed that planted \
         them, or on another database",
        first_few(.0),
    )]
    Taken(Vec<String>),
    /// A file in `seeds/` is not what is expected of it.
    #[error("the data in seeds/ cannot be used: {0}")]
    Names(#[from] toml::de::Error),
    /// A row has no canonical form.
    #[error("a row cannot be planted: {0}")]
    Row(#[from] crate::error::Error),
    /// The database refused or vanished.
    #[error("the database refused, so nothing was planted: {0}")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for SeedError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // No such table, no such column.
        if matches!(code.as_deref(), Some("42P01" | "42703")) {
            Self::Setup(SetupError::NotMigrated(error.to_string()))
        } else {
            Self::Database(error)
        }
    }
}

fn first_few(names: &[String]) -> String {
    const FEW: usize = 5;
    let few = names.iter().take(FEW).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(FEW);
    if more == 0 { few } else { format!("{few} and {more} more") }
}

/// Connects and does what is ordered.
///
/// # Errors
/// [`SeedError`]; nothing was changed then.
pub async fn run(order: &Order) -> Result<Outcome, SeedError> {
    let options: PgConnectOptions = order.database.url.0.parse().map_err(SeedError::Url)?;
    let options = options.application_name("seed_test_data");
    let mut connection =
        PgConnection::connect_with(&options).await.map_err(SetupError::Unreachable)?;
    let outcome = match order.action {
        Action::Plant { plan, reset } => {
            Outcome::Planted(plant(&mut connection, plan, reset).await?)
        }
        Action::Clean => Outcome::Removed(clean(&mut connection).await?),
    };
    // What was done is committed, whether or not the goodbye arrives.
    let _ = connection.close().await;
    Ok(outcome)
}

/// Plants what is missing, everything or nothing.
///
/// # Errors
/// [`SeedError`]; nothing was changed then.
pub async fn plant(
    connection: &mut PgConnection,
    plan: Plan,
    reset: bool,
) -> Result<Planted, SeedError> {
    let names = Names::read()?;
    let catalogue = Catalogue::new(&names, plan);
    let mut progress = Progress::new(u64::from(plan.agents) + u64::from(plan.customers));
    let mut planted = Planted::default();

    let mut tx = connection.begin().await?;
    one_at_a_time(&mut tx).await?;
    if reset {
        empty(&mut tx).await?;
    }
    refuse_taken_names(&mut tx, &catalogue).await?;
    catalogue::plant_foundations(&mut tx, &catalogue, &mut planted).await?;
    let many = search::grows_much(&mut tx, plan.agents).await?;
    if many {
        search::list_first(&mut tx).await?;
    }
    for agents in batches(plan.agents, AGENTS_AT_ONCE) {
        let rows = agents.len();
        catalogue::plant_agents(&mut tx, &catalogue, agents, &mut planted).await?;
        progress.advance(rows);
    }
    if many {
        search::sort_in(&mut tx).await?;
    }
    for customers in batches(plan.customers, CUSTOMERS_AT_ONCE) {
        let rows = customers.len();
        hires::plant(&mut tx, &catalogue, customers, &mut planted).await?;
        progress.advance(rows);
    }
    if plan.users > 0 {
        let hash = accounts::password_hash(&catalogue)?;
        for users in batches(plan.users, ACCOUNTS_AT_ONCE) {
            accounts::plant(&mut tx, &catalogue, users, &hash, &mut planted).await?;
        }
    }
    tx.commit().await?;

    planted.took = progress.finish();
    Ok(planted)
}

/// Removes the accounts `loadtest%`, planted or registered, with all that is theirs, and the
/// customers that were registered with them.
///
/// # Errors
/// [`SeedError`]; nothing was changed then.
pub async fn clean(connection: &mut PgConnection) -> Result<Removed, SeedError> {
    let mut tx = connection.begin().await?;
    one_at_a_time(&mut tx).await?;
    let accounts = accounts::sql::delete(&mut tx).await?;
    let customers = accounts::sql::delete_customers(&mut tx).await?;
    accounts::sql::delete_failures(&mut tx).await?;
    tx.commit().await?;
    Ok(Removed { accounts, customers })
}

fn batches(total: u32, at_once: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let total = total as usize;
    (0..total).step_by(at_once).map(move |from| from..total.min(from + at_once))
}

/// Makes a second planter wait until this one's transaction ends.
async fn one_at_a_time(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("select pg_advisory_xact_lock($1)").bind(SEED_LOCK).execute(tx).await.map(drop)
}

/// Empties the tables of entities and customers, those that refer to them, the answers kept for
/// repeated requests and the jobs, which tell of them, and failed logins. Truncation fires none of
/// the triggers that keep rows from being deleted; only the owner may do it.
async fn empty(tx: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "truncate base_entity, customer, idempotency_key, login_failure, job
        restart identity cascade"
    )
    .execute(tx)
    .await
    .map(drop)
}

async fn refuse_taken_names(
    tx: &mut PgConnection,
    catalogue: &Catalogue<'_>,
) -> Result<(), SeedError> {
    let plan = catalogue.plan;
    let mut taken = catalogue::taken_foundations(tx, catalogue).await?;
    for agents in batches(plan.agents, AGENTS_AT_ONCE) {
        taken.extend(catalogue::taken_agents(tx, catalogue, agents).await?);
    }
    for customers in batches(plan.customers, CUSTOMERS_AT_ONCE) {
        taken.extend(hires::taken_customers(tx, catalogue, customers).await?);
    }
    for users in batches(plan.users, ACCOUNTS_AT_ONCE) {
        taken.extend(accounts::taken(tx, catalogue, users).await?);
    }
    if taken.is_empty() { Ok(()) } else { Err(SeedError::Taken(taken)) }
}
