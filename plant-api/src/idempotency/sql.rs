//! Statements on `idempotency_key`.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::Answer;

/// Which row.
pub struct Place {
    pub scope: String,
    pub key: String,
}

/// Bounds every wait for a lock in this transaction.
pub async fn wait_at_most(db: impl PgExecutor<'_>, patience: Duration) -> sqlx::Result<()> {
    let milliseconds = patience.as_millis().to_string();
    sqlx::query!("select set_config('lock_timeout', $1, true)", milliseconds)
        .fetch_all(db)
        .await
        .map(drop)
}

/// Whether the row is ours: not when another request committed it. Waits for one in flight.
pub async fn claim(
    db: impl PgExecutor<'_>,
    place: &Place,
    request_hash: &[u8],
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "insert into idempotency_key (scope, key, request_hash, created_at)
        values ($1, $2, $3, $4)
        on conflict (scope, key) do nothing",
        place.scope,
        place.key,
        request_hash,
        now,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub struct Before {
    pub request_hash: Vec<u8>,
    status: i16,
    location: Option<String>,
    etag: String,
    body: Vec<u8>,
}

impl Before {
    pub fn answer(self) -> Answer {
        let status = u16::try_from(self.status).unwrap_or_default();
        Answer {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            location: self.location,
            etag: self.etag,
            body: self.body.into(),
        }
    }
}

pub async fn find(db: impl PgExecutor<'_>, place: &Place) -> sqlx::Result<Option<Before>> {
    sqlx::query_as!(
        Before,
        r#"select
            request_hash, status as "status!", location, etag as "etag!", body as "body!"
        from idempotency_key
        where scope = $1 and key = $2"#,
        place.scope,
        place.key,
    )
    .fetch_optional(db)
    .await
}

pub async fn keep(db: impl PgExecutor<'_>, place: &Place, answer: &Answer) -> sqlx::Result<()> {
    sqlx::query!(
        "update idempotency_key
        set status = $3, location = $4, etag = $5, body = $6
        where scope = $1 and key = $2",
        place.scope,
        place.key,
        answer.status.as_u16() as i16,
        answer.location,
        answer.etag,
        &answer.body[..],
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn delete_before(db: impl PgExecutor<'_>, moment: DateTime<Utc>) -> sqlx::Result<u64> {
    let done = sqlx::query!("delete from idempotency_key where created_at < $1", moment)
        .execute(db)
        .await?;
    Ok(done.rows_affected())
}
