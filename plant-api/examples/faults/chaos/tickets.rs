//! Checks of tickets: none lost or doubled, all ended once, and one note each at the service desk.

use std::net::SocketAddr;

use sqlx::PgConnection;
use uuid::Uuid;

use super::check::{Counter, Findings, record};
use super::ledger::Ledger;
use crate::client::Client;

/// The tenant that `seed_test_data` inserts.
pub const TENANT: &str = "load-test-tenant";

/// Creates a trigger that records each end of a ticket, and a table for the notes of the service desk.
pub async fn create_trigger(owner: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(
        "create table chaos_note (ticket_id text, key uuid);
        create table chaos_ticket (id uuid, status text);
        create function chaos_record_ticket() returns trigger
        language plpgsql security definer as $$
        begin
            insert into chaos_ticket values (new.id, new.status);
            return null;
        end $$;
        create trigger chaos_ticket after update of status on enhancement_history
            for each row execute function chaos_record_ticket();",
    )
    .execute(owner)
    .await
    .map(drop)
}

/// Copies the notes of all acknowledged tickets from the service desk to the database.
pub async fn copy_notes(
    owner: &mut PgConnection,
    desk: SocketAddr,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let mut client = Client::new(desk);
    let (mut tickets, mut keys) = (Vec::new(), Vec::<Uuid>::new());
    for (_, ticket_id) in &ledger.tickets {
        let notes = client.get(&format!("/notes/{ticket_id}")).await?;
        for note in notes.as_array().into_iter().flatten() {
            tickets.push(ticket_id.clone());
            keys.push(note["key"].as_str().unwrap_or_default().parse()?);
        }
    }
    sqlx::query("insert into chaos_note select * from unnest($1::text[], $2::uuid[])")
        .bind(tickets)
        .bind(keys)
        .execute(owner)
        .await?;
    Ok(())
}

/// Violations: their names, their counts, and statements that return the ids.
const VIOLATIONS: [(&str, Counter, &str); 6] = [
    (
        "one request created two tickets",
        |findings| &mut findings.duplicated,
        "select min(id::text)::uuid from enhancement_history
            group by ticket_id having count(*) > 1",
    ),
    (
        "a ticket ended twice",
        |findings| &mut findings.duplicated,
        "select id from chaos_ticket group by id having count(*) > 1",
    ),
    (
        "a ticket has two notes",
        |findings| &mut findings.duplicated,
        "select min(key::text)::uuid from chaos_note group by ticket_id having count(*) > 1",
    ),
    (
        "a ticket has not ended",
        |findings| &mut findings.unfinished,
        "select id from enhancement_history where status = 'pending'",
    ),
    (
        "a ticket and its job have different outcomes",
        |findings| &mut findings.unfinished,
        "select h.id from enhancement_history h join job j on j.id = h.id
            where (j.state = 'done') <> (h.status = 'completed')",
    ),
    (
        "a completed ticket has no note",
        |findings| &mut findings.lost,
        "select h.id from enhancement_history h
            where h.status = 'completed' and not exists (
                select from chaos_note n where n.ticket_id = h.ticket_id and n.key = h.id
            )",
    ),
];

/// Compares tickets and notes with the acknowledged writes.
pub async fn compare(
    owner: &mut PgConnection,
    ledger: &Ledger,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    let (ids, tickets): (Vec<_>, Vec<_>) = ledger.tickets.iter().cloned().unzip();
    let lost: Vec<Uuid> = sqlx::query_scalar(
        "select id from unnest($1::uuid[], $2::text[]) as acknowledged (id, ticket_id)
        where not exists (
            select from enhancement_history h
            where h.id = acknowledged.id and h.ticket_id = acknowledged.ticket_id
        )",
    )
    .bind(ids)
    .bind(tickets)
    .fetch_all(&mut *owner)
    .await?;
    findings.lost += record(&mut findings.examples, "lost: a ticket", &lost);
    for (violation, counter, sql) in VIOLATIONS {
        let ids: Vec<Uuid> = sqlx::query_scalar(sql).fetch_all(&mut *owner).await?;
        let count = record(&mut findings.examples, violation, &ids);
        *counter(findings) += count;
    }
    Ok(())
}

/// Faults that are put into the rows on purpose, as statements of the database owner.
pub const FAULTS: [(&str, &str); 7] = [
    (
        "a deleted ticket",
        "delete from enhancement_history
        where id = (select id from enhancement_history limit 1)",
    ),
    (
        "a doubled ticket",
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority, ticket_created_at,
            status, accepted_at, completed_at, error
        )
        select gen_random_uuid(), tenant_id, gen_random_uuid()::text, event, ticket_id, description,
            priority, ticket_created_at, 'failed', accepted_at, completed_at, 'none'
        from enhancement_history where status = 'completed' limit 1",
    ),
    (
        "a ticket that has not ended",
        "update enhancement_history set status = 'pending', completed_at = null, error = null
        where id = (select id from enhancement_history where status = 'completed' limit 1)",
    ),
    (
        "a ticket that ended twice",
        "update enhancement_history set status = status
        where id = (select id from enhancement_history where status = 'completed' limit 1)",
    ),
    (
        "a ticket that failed although its job is done",
        "insert into enhancement_history (
            id, tenant_id, delivery_id, event, ticket_id, description, priority, ticket_created_at,
            status, accepted_at, completed_at, error
        )
        select j.id, t.tenant_id, j.id::text, 'x', 'X', 'x', 'low', now(), 'failed', now(), now(), 'x'
        from job j, tenant_configs t where j.kind = 'payment' and j.state = 'done' limit 1",
    ),
    (
        "a lost note",
        "delete from chaos_note where key = (
            select n.key from chaos_note n join enhancement_history h on h.id = n.key
            where h.status = 'completed' limit 1
        )",
    ),
    (
        "a doubled note",
        "insert into chaos_note select ticket_id, gen_random_uuid() from chaos_note limit 1",
    ),
];
