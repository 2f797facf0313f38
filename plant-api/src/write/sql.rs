//! Statements on `idempotency_key`.

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::StoredResponse;
use crate::cache::Scope;

/// Primary key of a row.
pub struct RowKey {
    pub scope: String,
    pub key: String,
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
    etag: Option<String>,
    body: Vec<u8>,
    topics: Vec<String>,
}

impl StoredRow {
    /// Returns the scopes that the request has invalidated.
    pub fn scopes(&self) -> Vec<Scope> {
        self.topics.iter().filter_map(|name| Scope::parse(name)).collect()
    }

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
            request_hash, status as "status!", location, etag, body as "body!", topics
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
    scopes: &[Scope],
) -> sqlx::Result<()> {
    let topics: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    sqlx::query!(
        "update idempotency_key
        set status = $3, location = $4, etag = $5, body = $6, topics = $7
        where scope = $1 and key = $2",
        row_key.scope,
        row_key.key,
        response.status.as_u16() as i16,
        response.location,
        response.etag,
        &response.body[..],
        &topics,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Deletes up to `limit` rows created before `cutoff`, the oldest first; returns how many. Skips rows
/// that another process is deleting.
pub async fn delete_before(
    db: impl PgExecutor<'_>,
    cutoff: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from idempotency_key
        where ctid = any(array(
            select ctid
            from idempotency_key
            where created_at < $1
            order by created_at
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
