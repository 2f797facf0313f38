//! Migrations, and the role that the service works under.
//!
//! Roles belong to the whole cluster, so they are made outside the numbered migrations. A lock
//! lets two replicas start at once.

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::Db;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Any number that nobody else locks.
const MIGRATION_LOCK: i64 = 0x706c_616e_745f_6d69;

/// Why a database cannot be made ready, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The server did not answer, or refused the login.
    #[error("cannot reach the database: {0}")]
    Unreachable(#[source] sqlx::Error),
    /// A migration failed; nothing of it was kept.
    #[error("a migration failed: {0}")]
    Migration(#[from] MigrateError),
    /// The role `plant_app` is missing or cannot be used.
    #[error(
        "the role plant_app cannot be set up by this login ({0}); have an administrator run: \
         create role plant_app nologin; grant plant_app to the login in DATABASE_URL"
    )]
    Role(#[source] sqlx::Error),
    /// Rights could not be granted to `plant_app`.
    #[error("cannot grant to plant_app: {0}")]
    Grant(#[source] sqlx::Error),
    /// The schema is missing or older than this program.
    #[error("the database is not ready ({0}); run `plant-api migrate` first")]
    NotMigrated(String),
}

/// Brings the database to this program's schema; safe to run again, by several at once.
///
/// # Errors
/// When the database cannot be reached, a migration fails, or the right to make the role
/// `plant_app` is missing.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SetupError> {
    let mut owner = PgConnection::connect_with(options).await.map_err(SetupError::Unreachable)?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut owner)
        .await
        .map_err(SetupError::Unreachable)?;
    MIGRATOR.run_direct(None, &mut owner, false).await?;
    grant(&mut owner).await?;
    // Closing frees the lock; the work is done whether or not the goodbye arrives.
    let _ = owner.close().await;
    Ok(())
}

/// Makes the role `plant_app` where it is missing and grants it what the service needs.
///
/// # Errors
/// When the role is missing and may not be made.
pub async fn grant(owner: &mut PgConnection) -> Result<(), SetupError> {
    // Another database of the cluster may be making the role, or granting it, at this moment.
    owner
        .execute(
            "do $$ begin
                if not exists (select from pg_roles where rolname = 'plant_app') then
                    create role plant_app nologin;
                end if;
            exception when duplicate_object or unique_violation then null;
            end $$",
        )
        .await
        .map_err(SetupError::Role)?;
    owner
        .execute(
            "do $$ begin
                if not pg_has_role(current_user, 'plant_app', 'member') then
                    execute format('grant plant_app to %I', current_user);
                end if;
            exception when unique_violation then null;
            end $$",
        )
        .await
        .map_err(SetupError::Role)?;
    owner.execute(include_str!("grants.sql")).await.map_err(SetupError::Grant)?;
    Ok(())
}

/// Whether the database has this program's schema.
///
/// # Errors
/// A sentence that says what to do when it does not; nothing when the database is away, since
/// the service recovers from that by itself.
pub async fn check_schema(db: &Db) -> Result<(), SetupError> {
    let mut connection = match db.acquire().await {
        Ok(connection) => connection,
        Err(error) if error.status() == axum::http::StatusCode::SERVICE_UNAVAILABLE => {
            tracing::warn!(%error, "the database is away; serving 503 until it is back");
            return Ok(());
        }
        Err(error) => return Err(SetupError::NotMigrated(error.to_string())),
    };
    let applied = connection
        .list_applied_migrations("_sqlx_migrations")
        .await
        .map_err(|e| SetupError::NotMigrated(e.to_string()))?;
    let missing = |m: &sqlx::migrate::Migration| applied.iter().all(|a| a.version != m.version);
    if MIGRATOR.iter().any(missing) {
        return Err(SetupError::NotMigrated("its schema is older than this program".into()));
    }
    Ok(())
}
