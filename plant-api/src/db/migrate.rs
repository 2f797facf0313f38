//! Migrations and the role `plant_app`, which the service runs as.
//!
//! Roles belong to the whole cluster, so they are created outside the numbered migrations. An
//! advisory lock serializes concurrent migrations.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::migrate::{AppliedMigration, Migrate, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};
use tokio_util::sync::CancellationToken;

use super::Db;
use crate::error::{Error, Result};

pub(super) static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Key of the advisory lock, unique within the database (`plant_mi` in ASCII).
const MIGRATION_LOCK: i64 = 0x706c_616e_745f_6d69;

/// Interval of [`run_schema_check`].
const SCHEMA_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Errors of the database setup, with a hint how to fix each.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The database was unavailable. Migrations that had been applied before stay applied.
    #[error("{0}; run `plant-api migrate` again when the database is available")]
    Unavailable(Error),
    /// The connection or the login failed.
    #[error("cannot connect to the database: {0}")]
    Connection(Error),
    /// A migration failed and was rolled back.
    #[error("migration failed: {0}")]
    Migration(Error),
    /// The role `plant_app` cannot be created or granted.
    #[error(
        "this login cannot set up the role plant_app ({0}); run as a database administrator: \
         create role plant_app nologin; grant plant_app to the login in DATABASE_URL"
    )]
    Role(Error),
    /// Privileges cannot be granted to `plant_app`.
    #[error("cannot grant privileges to plant_app: {0}")]
    Grant(Error),
    /// The schema is missing or older than this version.
    #[error("the database is not ready ({0}); run `plant-api migrate` first")]
    NotMigrated(String),
}

/// Returns [`SetupError::Unavailable`] for an outage, otherwise the error of this `step`.
fn failed<E: Into<Error>>(step: fn(Error) -> SetupError) -> impl FnOnce(E) -> SetupError {
    move |error| {
        let error = error.into();
        if error.is_outage() { SetupError::Unavailable(error) } else { step(error) }
    }
}

/// Applies the pending migrations and grants `plant_app` its privileges. Safe to run repeatedly and
/// concurrently.
///
/// # Errors
/// Returns an error if the connection or a migration fails, or if the role `plant_app`
/// does not exist and the connecting role may not create it.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), SetupError> {
    let mut owner =
        PgConnection::connect_with(options).await.map_err(failed(SetupError::Connection))?;
    sqlx::query("select pg_advisory_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut owner)
        .await
        .map_err(failed(SetupError::Connection))?;
    MIGRATOR.run_direct(None, &mut owner, false).await.map_err(failed(SetupError::Migration))?;
    grant_privileges(&mut owner).await?;
    // Closing releases the lock; the migrations are committed even if closing fails.
    let _ = owner.close().await;
    Ok(())
}

/// Creates the role `plant_app` if it does not exist, and grants it the privileges of the service.
///
/// # Errors
/// Returns an error if the role does not exist and the connecting role may not create it.
pub async fn grant_privileges(owner: &mut PgConnection) -> Result<(), SetupError> {
    // The role may be created or granted concurrently for another database of the cluster.
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
        .map_err(failed(SetupError::Role))?;
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
        .map_err(failed(SetupError::Role))?;
    owner
        .execute(include_str!("../../../migrations/grants.sql"))
        .await
        .map_err(failed(SetupError::Grant))?;
    Ok(())
}

/// Checks that all migrations of this version have been applied. If the database is unavailable it
/// succeeds, and the database counts as unavailable until [`run_schema_check`] has checked the schema.
///
/// # Errors
/// [`SetupError::NotMigrated`] if a migration is missing.
pub async fn check_schema(db: &Db) -> Result<(), SetupError> {
    match check_applied(list_applied(db).await) {
        Err(SetupError::Unavailable(error)) => {
            tracing::warn!(%error, "database unavailable; responding with 503 until connected");
            db.shared.heartbeat.is_schema_unchecked.store(true, Ordering::SeqCst);
            db.shared.heartbeat.up.send_replace(false);
            Ok(())
        }
        result => result,
    }
}

/// Checks the schema as soon as the database is available, if it was not at the start, and until it is
/// migrated; ends then, or with `shutdown`.
pub async fn run_schema_check(db: Db, shutdown: CancellationToken) {
    let mut is_logged = false;
    while db.shared.heartbeat.is_schema_unchecked.load(Ordering::SeqCst) {
        match check_applied(list_applied_beside_pool(&db).await) {
            Ok(()) => db.shared.heartbeat.is_schema_unchecked.store(false, Ordering::SeqCst),
            Err(error @ SetupError::NotMigrated(_)) if !is_logged => {
                tracing::error!("{error}; responding with 503 until then");
                is_logged = true;
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(SCHEMA_CHECK_INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Checks that the migrations of this version are among those that are `applied`.
fn check_applied(applied: Result<Vec<AppliedMigration>>) -> Result<(), SetupError> {
    let applied = applied.map_err(failed(|error| SetupError::NotMigrated(error.to_string())))?;
    let missing = |m: &sqlx::migrate::Migration| applied.iter().all(|a| a.version != m.version);
    if MIGRATOR.iter().any(missing) {
        return Err(SetupError::NotMigrated(
            "its schema is older than this version of plant-api".into(),
        ));
    }
    Ok(())
}

async fn list_applied(db: &Db) -> Result<Vec<AppliedMigration>> {
    let mut connection = db.acquire().await?;
    Ok(connection.list_applied_migrations("_sqlx_migrations").await?)
}

/// As [`list_applied`], also while the database counts as unavailable.
async fn list_applied_beside_pool(db: &Db) -> Result<Vec<AppliedMigration>> {
    let mut connection = db.shared.monitor.acquire().await?;
    Ok(connection.list_applied_migrations("_sqlx_migrations").await?)
}
