//! Statements on `payment`, `payment_event` and the ledger.

use chrono::{DateTime, Utc};
use sqlx::PgExecutor;
use uuid::Uuid;

use super::amount::Amount;
use super::event::{Event, KeptEvent, Kind, LockedPayment, LoggedEvent, Outcome};
use super::ledger::Posting;
use super::{Currency, Payment, Status};
use crate::page::Page;
use crate::subscription::SubscriptionPlan;

pub async fn insert(
    db: impl PgExecutor<'_>,
    payment: &Payment,
    account: Uuid,
    provider: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payment (
            id, account_id, provider, plan, amount, requested_amount, currency, status, created_at,
            updated_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
        payment.id,
        account,
        provider,
        payment.plan_id as SubscriptionPlan,
        payment.amount.minor(),
        payment.requested_amount.map(Amount::minor),
        payment.currency as Currency,
        payment.status as Status,
        payment.created_at,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn find(
    db: impl PgExecutor<'_>,
    id: Uuid,
    account: Uuid,
) -> sqlx::Result<Option<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"select
            id, id as payment_id, plan as "plan_id: SubscriptionPlan", amount as "amount: Amount",
            requested_amount as "requested_amount: Amount", currency as "currency: Currency",
            status as "status: Status", created_at
        from payment
        where id = $1 and account_id = $2"#,
        id,
        account,
    )
    .fetch_optional(db)
    .await
}

pub async fn list(
    db: impl PgExecutor<'_>,
    account: Uuid,
    page: &Page,
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"select
            id, id as payment_id, plan as "plan_id: SubscriptionPlan", amount as "amount: Amount",
            requested_amount as "requested_amount: Amount", currency as "currency: Currency",
            status as "status: Status", created_at
        from payment
        where account_id = $1 and id < $2
        order by id desc
        limit $3
        offset $4"#,
        account,
        page.before(),
        page.fetch_limit(),
        page.offset,
    )
    .fetch_all(db)
    .await
}

/// What the provider knows of a payment.
pub struct ProviderPayment {
    pub amount: Amount,
    pub currency: Currency,
    pub created_at: DateTime<Utc>,
}

pub async fn find_for_provider(
    db: impl PgExecutor<'_>,
    id: Uuid,
) -> sqlx::Result<Option<ProviderPayment>> {
    sqlx::query_as!(
        ProviderPayment,
        r#"select amount as "amount: Amount", currency as "currency: Currency", created_at
        from payment
        where id = $1"#,
        id,
    )
    .fetch_optional(db)
    .await
}

/// Locks the id of an event until the end of the transaction, so that the same event cannot be processed
/// for two payments at once.
pub async fn lock_event(db: impl PgExecutor<'_>, provider: &str, event: Uuid) -> sqlx::Result<()> {
    let key = format!("payment event {provider} {event}");
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", key)
        .execute(db)
        .await
        .map(drop)
}

/// Locks a payment until the end of the transaction.
pub async fn lock(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<Option<LockedPayment>> {
    sqlx::query_as!(
        LockedPayment,
        r#"select
            provider, amount as "amount: Amount", currency as "currency: Currency",
            status as "status: Status"
        from payment
        where id = $1
        for no key update"#,
        id,
    )
    .fetch_optional(db)
    .await
}

pub async fn update_status(
    db: impl PgExecutor<'_>,
    id: Uuid,
    status: Status,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment set status = $2, updated_at = $3 where id = $1",
        id,
        status as Status,
        now,
    )
    .execute(db)
    .await
    .map(drop)
}

pub async fn log_event(
    db: impl PgExecutor<'_>,
    provider: &str,
    event: &Event,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payment_event (
            provider, event_id, kind, payment_id, amount, currency, occurred_at, received_at,
            outcome, applied_at
        )
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        provider,
        event.id,
        event.kind as Kind,
        event.payment_id,
        event.amount.minor(),
        event.currency as Currency,
        event.created_at,
        now,
        outcome as Outcome,
        (outcome == Outcome::Applied).then_some(now),
    )
    .execute(db)
    .await
    .map(drop)
}

/// Returns an event that arrived before under this id, without those that were refused.
pub async fn find_logged(
    db: impl PgExecutor<'_>,
    provider: &str,
    event: Uuid,
) -> sqlx::Result<Option<LoggedEvent>> {
    sqlx::query_as!(
        LoggedEvent,
        r#"select kind as "kind: Kind", payment_id
        from payment_event
        where provider = $1 and event_id = $2 and outcome in ('applied', 'kept', 'ignored')
        order by id
        limit 1"#,
        provider,
        event,
    )
    .fetch_optional(db)
    .await
}

/// Returns the kept events of a payment in the order of arrival.
pub async fn list_kept(db: impl PgExecutor<'_>, payment: Uuid) -> sqlx::Result<Vec<KeptEvent>> {
    sqlx::query_as!(
        KeptEvent,
        r#"select id, kind as "kind: Kind"
        from payment_event
        where payment_id = $1 and outcome = 'kept'
        order by id"#,
        payment,
    )
    .fetch_all(db)
    .await
}

pub async fn update_kept(
    db: impl PgExecutor<'_>,
    id: i64,
    outcome: Outcome,
    applied_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_event set outcome = $2, applied_at = $3 where id = $1",
        id,
        outcome as Outcome,
        applied_at,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Inserts a ledger transaction with its two entries.
pub async fn insert_posting(db: impl PgExecutor<'_>, posting: &Posting) -> sqlx::Result<()> {
    sqlx::query!(
        "with posted as (
            insert into ledger_transaction (id, payment_id, kind, created_at)
            values ($1, $2, $3, $4)
        )
        insert into ledger_entry (transaction_id, account, currency, amount)
        values ($1, $5, $7, $8::bigint), ($1, $6, $7, - $8::bigint)",
        posting.id,
        posting.payment,
        posting.kind,
        posting.created_at,
        posting.debit,
        posting.credit,
        posting.currency as Currency,
        posting.amount.minor(),
    )
    .execute(db)
    .await
    .map(drop)
}
