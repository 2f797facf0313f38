//! Checks of payments: none lost or doubled, all ended, no event applied twice, and a ledger that sums
//! to zero and agrees with the payments.

use sqlx::PgConnection;
use uuid::Uuid;

use super::check::{Counter, Findings, record};
use super::ledger::Ledger;

/// Creates a trigger that records each change of a payment's status.
pub async fn create_trigger(owner: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "create table chaos_status (id uuid, status text);
        create function chaos_record_status() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_status values (new.id, new.status);
            return null;
        end $$;
        create trigger chaos_status after update of status on payment
            for each row execute function chaos_record_status();",
    )
    .execute(owner)
    .await
    .map(drop)
}

/// Violations: their names, their counts, and statements that return the ids.
const VIOLATIONS: [(&str, Counter, &str); 8] = [
    (
        "one request created two payments",
        |findings| &mut findings.duplicated,
        "select min(id::text)::uuid from payment group by requested_amount having count(*) > 1",
    ),
    (
        "an event was applied twice",
        |findings| &mut findings.duplicated,
        "select payment_id from payment_event where outcome = 'applied'
            group by payment_id, kind having count(*) > 1",
    ),
    (
        "a payment got the same status twice",
        |findings| &mut findings.duplicated,
        "select id from chaos_status group by id, status having count(*) > 1",
    ),
    (
        "a payment has not ended",
        |findings| &mut findings.unfinished,
        "select id from payment where status in ('pending', 'waiting_for_capture')",
    ),
    (
        "entries of the ledger do not sum to zero",
        |findings| &mut findings.ledger,
        "select transaction_id from ledger_entry
            group by transaction_id, currency having sum(amount) <> 0",
    ),
    (
        "the ledger does not agree with the payment's status",
        |findings| &mut findings.ledger,
        "select p.id from payment p
            where (
                select coalesce(array_agg(concat_ws(' ', t.kind, e.account, e.currency, e.amount)
                    order by t.kind, e.account), '{}')
                from ledger_transaction t
                left join ledger_entry e on e.transaction_id = t.id
                where t.payment_id = p.id
            ) <> case when p.status in ('succeeded', 'refunded') then array[
                concat_ws(' ', 'capture provider', p.currency, p.amount),
                concat_ws(' ', 'capture revenue', p.currency, -p.amount)
            ] else array[]::text[] end || case when p.status = 'refunded' then array[
                concat_ws(' ', 'refund provider', p.currency, -p.amount),
                concat_ws(' ', 'refund refunds', p.currency, p.amount)
            ] else array[]::text[] end",
    ),
    (
        "the applied events do not agree with the payment's status",
        |findings| &mut findings.ledger,
        "select p.id from payment p
            where (
                select coalesce(array_agg(e.kind order by e.kind), '{}') from payment_event e
                where e.payment_id = p.id and e.outcome = 'applied'
            ) <> case p.status
                when 'pending' then '{}'
                when 'waiting_for_capture' then array['waiting_for_capture']
                when 'refunded' then array['refunded', 'succeeded', 'waiting_for_capture']
                when 'succeeded' then array['succeeded', 'waiting_for_capture']
                else array[p.status, 'waiting_for_capture']
            end",
    ),
    (
        "an event is still kept although its payment has ended",
        |findings| &mut findings.unfinished,
        "select e.payment_id from payment_event e
            join payment p on p.id = e.payment_id
            where e.outcome = 'kept' and p.status not in ('pending', 'waiting_for_capture')",
    ),
];

/// Compares payments and ledger with the acknowledged writes.
pub async fn compare(
    owner: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let (ids, amounts): (Vec<_>, Vec<_>) = ledger.payments.iter().copied().unzip();
    let lost: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($1::uuid[], $2::bigint[]) as acknowledged (id, amount)
        where not exists (
            select from payment p
            where p.id = acknowledged.id and p.requested_amount = acknowledged.amount
        )",
    )
    .bind(ids)
    .bind(amounts)
    .fetch_all(&mut *owner)
    .await?;
    findings.lost += record(&mut findings.examples, "lost: a payment", &lost);
    for (violation, counter, sql) in VIOLATIONS {
        let ids: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        let count = record(&mut findings.examples, violation, &ids);
        *counter(findings) += count;
    }
    Ok(())
}

/// Faults that are put into the rows on purpose, as statements of the database owner.
pub const FAULTS: [(&str, &str); 10] = [
    (
        "a deleted payment",
        "with deleted as (select id from payment where status in ('canceled', 'failed') limit 1)
        delete from payment where id in (select id from deleted)",
    ),
    (
        "a doubled payment",
        "insert into payment
        select gen_random_uuid(), account_id, provider, plan, amount, requested_amount, currency,
            status, created_at, updated_at
        from payment where status in ('canceled', 'failed') limit 1",
    ),
    (
        "a payment that has not ended",
        "update payment set status = 'pending'
        where id = (select id from payment where status = 'failed' limit 1)",
    ),
    (
        "an entry of another amount",
        "update ledger_entry set amount = amount + 1
        where (transaction_id, account) = (select transaction_id, account from ledger_entry limit 1)",
    ),
    (
        "a deleted ledger transaction",
        "with deleted as (
            delete from ledger_entry
            where transaction_id = (select transaction_id from ledger_entry limit 1)
            returning transaction_id
        )
        delete from ledger_transaction where id in (select transaction_id from deleted)",
    ),
    (
        "a balanced transaction of another amount",
        "update ledger_entry set amount = amount * 2
        where transaction_id = (select transaction_id from ledger_entry limit 1)",
    ),
    (
        "an event that contradicts the status",
        "insert into payment_event (provider, event_id, kind, payment_id, amount, currency,
            occurred_at, received_at, outcome, applied_at)
        select provider, gen_random_uuid(), 'canceled', id, amount, currency, now(), now(),
            'applied', now()
        from payment where status = 'succeeded' limit 1",
    ),
    (
        "a deleted event",
        "delete from payment_event where id = (
            select id from payment_event
            where outcome = 'applied' and kind = 'waiting_for_capture' limit 1
        )",
    ),
    (
        "an event that is still kept",
        "update payment_event set outcome = 'kept', applied_at = null
        where id = (select id from payment_event where outcome = 'applied' limit 1)",
    ),
    (
        "a status that was set twice",
        "update payment set status = status
        where id = (select id from payment where status = 'succeeded' limit 1)",
    ),
];
