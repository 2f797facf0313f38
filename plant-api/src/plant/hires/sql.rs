//! Statements on `hired_agent`. A `customer_filter` restricts a statement to that customer's rows.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;

use super::{Configuration, HireId, HireStatus, HiredAgent, Theme};
use crate::customers::CustomerId;
use crate::page::Page;
use crate::plant::agents::{AgentId, HireDuration};
use crate::plant::json_text::JsonText;

pub async fn insert(
    db: impl PgExecutor<'_>,
    customer_id: &CustomerId,
    duration: HireDuration,
    hire: &HiredAgent,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into hired_agent (
            id, customer_id, agent_id, duration, nickname, trial_end_at, hired_at, updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $7)",
        hire.id.0,
        customer_id.0,
        hire.agent_id.0,
        duration as HireDuration,
        hire.nickname,
        hire.trial_end_at,
        hire.hired_at,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn list(
    db: impl PgExecutor<'_>,
    customer_id: &CustomerId,
    customer_filter: Option<&str>,
    now: DateTime<Utc>,
    page: &Page,
) -> sqlx::Result<Vec<HiredAgent>> {
    let rows = sqlx::query!(
        r#"select
            h.id as "id: HireId", h.agent_id as "agent_id: AgentId", a.name as agent_name,
            i.name as industry, h.nickname, h.theme as "theme: Theme",
            h.status as "status: HireStatus", h.trial_end_at, h.hired_at
        from hired_agent h
        join agent a on a.id = h.agent_id
        join industry i on i.id = a.industry_id
        where h.customer_id = $1
            and ($2::text is null or h.customer_id = $2)
            and h.id < $3
        order by h.id desc
        limit $4
        offset $5"#,
        customer_id.0,
        customer_filter,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch_all(db)
    .await?;
    let hires = rows.into_iter().map(|row| HiredAgent {
        id: row.id,
        agent_id: row.agent_id,
        agent_name: row.agent_name,
        industry: row.industry,
        configured: row.nickname.is_some(),
        nickname: row.nickname,
        theme: row.theme,
        status: row.status,
        trial_status: HiredAgent::trial_status_at(now, row.trial_end_at),
        trial_end_at: row.trial_end_at,
        hired_at: row.hired_at,
    });
    Ok(hires.collect())
}

pub async fn exists(
    db: impl PgExecutor<'_>,
    id: HireId,
    customer_filter: Option<&str>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (
            select from hired_agent
            where id = $1
                and ($2::text is null or customer_id = $2)
        ) as "exists!""#,
        id.0,
        customer_filter,
    )
    .fetch_one(db)
    .await
}

pub async fn find_configuration(
    db: impl PgExecutor<'_>,
    id: HireId,
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<Configuration>> {
    sqlx::query_as!(
        Configuration,
        r#"select
            id as "id: HireId", agent_id as "agent_id: AgentId", nickname,
            theme as "theme: Theme", settings as "settings: JsonText", nickname is not null as "configured!",
            updated_at, version
        from hired_agent
        where id = $1
            and ($2::text is null or customer_id = $2)"#,
        id.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}

pub struct LockedConfiguration {
    pub agent_id: AgentId,
    pub version: i64,
}

pub async fn lock_configuration(
    db: impl PgExecutor<'_>,
    id: HireId,
    customer_filter: Option<&str>,
) -> sqlx::Result<Option<LockedConfiguration>> {
    sqlx::query_as!(
        LockedConfiguration,
        r#"select agent_id as "agent_id: AgentId", version
        from hired_agent
        where id = $1
            and ($2::text is null or customer_id = $2)
        for no key update"#,
        id.0,
        customer_filter,
    )
    .fetch_optional(db)
    .await
}

pub async fn update_configuration(
    db: impl PgExecutor<'_>,
    new: &Configuration,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update hired_agent
        set nickname = $2, theme = $3, settings = $4, updated_at = $5, version = $6
        where id = $1",
        new.id.0,
        new.nickname,
        new.theme as Theme,
        &new.settings as &JsonText,
        new.updated_at,
        new.version,
    )
    .execute(db)
    .await
    .map(drop)
}
