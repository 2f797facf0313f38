//! Bulk statements for accounts, and the deletion of rows that load tests created.

use sqlx::PgConnection;

use super::Account;
use crate::subscription::SubscriptionPlan;

pub async fn insert(
    db: &mut PgConnection,
    rows: &[Account],
    password_hash: &str,
) -> sqlx::Result<u64> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let customers: Vec<_> = rows.iter().map(|row| row.customer_id.as_str()).collect();
    let emails: Vec<_> = rows.iter().map(|row| row.email.as_str()).collect();
    let plans: Vec<_> = rows.iter().map(|row| row.plan).collect();
    let created: Vec<_> = rows.iter().map(|row| row.created_at).collect();
    sqlx::query!(
        "insert into account (
            id, customer_id, email, password_hash, role, plan, is_verified, created_at
        )
        select id, customer_id, email, $6, 'editor', plan, true, created_at
        from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
            as new (id, customer_id, email, plan, created_at)
        on conflict (id) do nothing",
        &ids,
        &customers as &[&str],
        &emails as &[&str],
        &plans as &[SubscriptionPlan],
        &created,
        password_hash,
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn find_taken_emails(
    db: &mut PgConnection,
    rows: &[Account],
) -> sqlx::Result<Vec<String>> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let emails: Vec<_> = rows.iter().map(|row| row.email.as_str()).collect();
    sqlx::query_scalar!(
        "select a.email
        from unnest($1::uuid[], $2::text[]) as new (id, email)
        join account a on a.email = new.email and a.id <> new.id
        order by a.email",
        &ids,
        &emails as &[&str],
    )
    .fetch_all(db)
    .await
}

/// Deletes the payments of the accounts whose email starts with `loadtest`, with their ledger entries
/// and events.
pub async fn delete_payments(db: &mut PgConnection) -> sqlx::Result<()> {
    // PostgreSQL checks foreign keys at the end of the statement.
    sqlx::query!(
        r"with deleted as (
            select p.id
            from payment p
            join account a on a.id = p.account_id
            where a.email like 'loadtest%'
        ),
        events as (
            delete from payment_event where payment_id in (select id from deleted)
        ),
        entries as (
            delete from ledger_entry e
            using ledger_transaction t
            where t.id = e.transaction_id and t.payment_id in (select id from deleted)
        ),
        transactions as (
            delete from ledger_transaction where payment_id in (select id from deleted)
        )
        delete from payment where id in (select id from deleted)",
    )
    .execute(db)
    .await
    .map(drop)
}

/// Deletes the idempotency keys of the accounts whose email starts with `loadtest`, with the stored
/// responses. Their scope starts with the id of the account.
pub async fn delete_idempotency_keys(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        r"delete from idempotency_key
        where split_part(scope, ' ', 1) in (select id::text from account where email like 'loadtest%')"
    )
    .execute(db)
    .await
    .map(drop)
}

/// Deletes the accounts whose email starts with `loadtest` and, by cascade, the rows that reference
/// them.
pub async fn delete_accounts(db: &mut PgConnection) -> sqlx::Result<u64> {
    sqlx::query!(r"delete from account where email like 'loadtest%'")
        .execute(db)
        .await
        .map(|result| result.rows_affected())
}

/// Deletes the customers that load tests registered, except those that still have an account or
/// a hired agent: approvals must stay on record.
pub async fn delete_customers(db: &mut PgConnection) -> sqlx::Result<u64> {
    sqlx::query!(
        r"delete from customer c
        where c.email like 'loadtest%'
            and not exists (select from account a where a.customer_id = c.id)
            and not exists (select from hired_agent h where h.customer_id = c.id)",
    )
    .execute(db)
    .await
    .map(|result| result.rows_affected())
}

pub async fn delete_login_failures(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("delete from login_failure where email like 'loadtest%'")
        .execute(db)
        .await
        .map(drop)
}
