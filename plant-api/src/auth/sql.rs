//! Statements on `account`, `session` and `login_failure`.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::failed_logins::FailedLogins;
use super::{AccountDetails, AccountRecord, AccountView, SessionRow, SubscriptionPlan};
use crate::customers::CustomerId;
use crate::token::Role;

pub async fn insert(
    db: impl PgExecutor<'_>,
    account: &AccountView,
    customer: &CustomerId,
    password_hash: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into account (
            id, customer_id, email, password_hash, role, is_active, is_verified, created_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        account.id,
        customer.0,
        account.email,
        password_hash,
        account.role as Role,
        account.is_active,
        account.is_verified,
        account.created_at,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Finds the account of an email and its failed logins. It is one statement in all cases, so that
/// the response time does not reveal whether an account exists.
pub async fn find_login(
    db: impl PgExecutor<'_>,
    email: &str,
) -> sqlx::Result<(Option<AccountRecord>, Option<FailedLogins>)> {
    let row = sqlx::query!(
        r#"select
            a.id as "id?", a.email as "email?", a.role as "role?: Role",
            a.is_active as "is_active?", a.is_verified as "is_verified?",
            a.created_at as "created_at?", a.customer_id as "customer_id?",
            a.password_hash as "password_hash?", f.failures as "failures?", f.since as "since?"
        from (select $1::text as email) wanted
        left join account a on a.email = wanted.email
        left join login_failure f on f.email = wanted.email"#,
        email,
    )
    .fetch_one(db)
    .await?;
    let record = || {
        Some(AccountRecord {
            account: AccountView {
                id: row.id?,
                email: row.email?,
                role: row.role?,
                is_active: row.is_active?,
                is_verified: row.is_verified?,
                created_at: row.created_at?,
            },
            customer: CustomerId(row.customer_id?),
            password_hash: row.password_hash?,
        })
    };
    let failures = row.failures.zip(row.since).map(|(count, since)| FailedLogins { count, since });
    Ok((record(), failures))
}

pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<AccountRecord>> {
    let row = sqlx::query!(
        r#"select
            id, email, role as "role: Role", is_active, is_verified, created_at, customer_id,
            password_hash
        from account
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| AccountRecord {
        account: AccountView {
            id: row.id,
            email: row.email,
            role: row.role,
            is_active: row.is_active,
            is_verified: row.is_verified,
            created_at: row.created_at,
        },
        customer: CustomerId(row.customer_id),
        password_hash: row.password_hash,
    }))
}

/// Finds the account, unless the session was revoked.
pub async fn find_details(
    db: impl PgExecutor<'_>,
    id: Uuid,
    session: Uuid,
) -> sqlx::Result<Option<AccountDetails>> {
    let row = sqlx::query!(
        r#"select
            a.id, a.email, a.role as "role: Role", a.is_active, a.is_verified, a.created_at,
            a.customer_id, a.plan as "plan: SubscriptionPlan"
        from account a
        join session s on s.account_id = a.id
        where a.id = $1
            and s.id = $2
            and s.revoked_at is null"#,
        id,
        session,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| AccountDetails {
        account: AccountView {
            id: row.id,
            email: row.email,
            role: row.role,
            is_active: row.is_active,
            is_verified: row.is_verified,
            created_at: row.created_at,
        },
        customer_id: CustomerId(row.customer_id),
        plan: row.plan,
    }))
}

/// Counts one more failed login. Failures at or before `window_start` no longer count.
pub async fn count_failure(
    db: impl PgExecutor<'_>,
    email: &str,
    now: DateTime<Utc>,
    window_start: DateTime<Utc>,
) -> sqlx::Result<FailedLogins> {
    let rows = sqlx::query_as!(
        FailedLogins,
        r#"insert into login_failure as f (email, failures, since)
        values ($1, 1, $2)
        on conflict (email) do update
        set failures = case when f.since > $3 then f.failures + 1 else 1 end,
            since = case when f.since > $3 then f.since else $2 end
        returning failures as count, since"#,
        email,
        now,
        window_start,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}

/// Condition for a new session: fewer than `max_failures` failed logins with `email` after `since`.
pub struct FailedLoginLimit<'a> {
    pub email: &'a str,
    pub max_failures: i32,
    pub since: DateTime<Utc>,
}

/// Inserts a session. Returns `false` when the limit of failed logins was reached.
pub async fn insert_session(
    db: impl PgExecutor<'_>,
    session: &SessionRow,
    limit: &FailedLoginLimit<'_>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into session (
            id, account_id, refresh_hash, created_at, refreshed_at, expires_at
        )
        select $1, $2, $3, $4, $4, $5
        where not exists (
            select from login_failure where email = $6 and failures >= $7 and since > $8
        )",
        session.id,
        session.account_id,
        &session.refresh_hash,
        session.refreshed_at,
        session.expires_at,
        limit.email,
        limit.max_failures,
        limit.since,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub async fn delete_failures(db: impl PgExecutor<'_>, email: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from login_failure where email = $1", email).execute(db).await.map(drop)
}

/// Replaces the refresh token. Returns `false` when `used` is not the hash of the current token, or
/// the session has expired or was revoked.
pub async fn rotate_refresh_token(
    db: impl PgExecutor<'_>,
    next: &SessionRow,
    used: &[u8; 32],
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update session
        set refresh_hash = $3, refreshed_at = $4, expires_at = $5
        where id = $1
            and refresh_hash = $2
            and revoked_at is null
            and expires_at > $4",
        next.id,
        used,
        &next.refresh_hash,
        next.refreshed_at,
        next.expires_at,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Revokes a session. Returns `false` when it was already revoked or does not exist.
pub async fn revoke(db: impl PgExecutor<'_>, id: Uuid, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update session set revoked_at = $2 where id = $1 and revoked_at is null",
        id,
        now,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// Deletes up to `limit` sessions that expired before `now`, the oldest first; returns how many.
pub async fn delete_expired_sessions(
    db: impl PgExecutor<'_>,
    now: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from session
        where ctid = any(array(
            select ctid
            from session
            where expires_at <= $1
            order by expires_at
            limit $2
            for update skip locked
        ))",
        now,
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}

/// Deletes up to `limit` failure counts whose window began before `cutoff`, the oldest first;
/// returns how many.
pub async fn delete_failures_before(
    db: impl PgExecutor<'_>,
    cutoff: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from login_failure
        where ctid = any(array(
            select ctid
            from login_failure
            where since <= $1
            order by since
            limit $2
            for update skip locked
        ))",
        cutoff,
        i64::from(limit),
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected())
}
