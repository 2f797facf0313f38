//! Statements on `idempotency_key`.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::StoredResponse;

/// Primary key of a row.
pub struct RowKey {
    pub scope: String,
    pub key: String,
}

/// Sets `lock_timeout` for this transaction.
pub async fn set_lock_timeout(db: impl PgExecutor<'_>, timeout: Duration) -> sqlx::Result<()> {
    let milliseconds = timeout.as_millis().to_string();
    sqlx::query!("select set_config('lock_timeout', $1, true)", milliseconds)
        .fetch_all(db)
        .await
        .map(drop)
}

/// Inserts the row. Returns `false` when another request has committed it. Waits for a request in
/// progress.
pub async fn claim(
    db: impl PgExecutor<'_>,
    row_key: &RowKey,
    request_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into idempotency_key (scope, key, request_hash, created_at)
        values ($1, $2, $3, $4)
        on conflict (scope, key) do nothing",
        row_key.scope,
        row_key.key,
        request_hash,
        now,
    )
    .execute(db)
    .await?;
    Ok(result.rows_affected() == 1)
}

pub struct StoredRow {
    pub request_hash: Vec<u8>,
    status: i16,
    location: Option<String>,
    etag: String,
    body: Vec<u8>,
}

impl StoredRow {
    pub fn into_stored_response(self) -> StoredResponse {
        let status = u16::try_from(self.status).unwrap_or_default();
        StoredResponse {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            location: self.location,
            etag: self.etag,
            body: self.body.into(),
        }
    }
}

pub async fn find(db: impl PgExecutor<'_>, row_key: &RowKey) -> sqlx::Result<Option<StoredRow>> {
    sqlx::query_as!(
        StoredRow,
        r#"select
            request_hash, status as "status!", location, etag as "etag!", body as "body!"
        from idempotency_key
        where scope = $1 and key = $2"#,
        row_key.scope,
        row_key.key,
    )
    .fetch_optional(db)
    .await
}

pub async fn store_response(
    db: impl PgExecutor<'_>,
    row_key: &RowKey,
    response: &StoredResponse,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update idempotency_key
        set status = $3, location = $4, etag = $5, body = $6
        where scope = $1 and key = $2",
        row_key.scope,
        row_key.key,
        response.status.as_u16() as i16,
        response.location,
        response.etag,
        &response.body[..],
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn delete_before(db: impl PgExecutor<'_>, cutoff: DateTime<Utc>) -> sqlx::Result<u64> {
    let result = sqlx::query!("delete from idempotency_key where created_at < $1", cutoff)
        .execute(db)
        .await?;
    Ok(result.rows_affected())
}
