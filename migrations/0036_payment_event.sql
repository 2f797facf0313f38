-- Every signed event that a payment provider has posted, in the order of arrival, also repeated ones, with what became of
-- it: docs/decisions/0304-events-are-applied-in-the-order-of-states.md.
create table payment_event (
    id bigint generated always as identity constraint payment_event_pkey primary key,
    provider text not null,
    event_id uuid not null,
    kind text not null constraint payment_event_kind_known
        check (kind in ('waiting_for_capture', 'succeeded', 'canceled', 'failed', 'refunded')),
    -- No foreign key: events of unknown payments are logged too.
    payment_id uuid not null,
    amount bigint not null,
    currency text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    outcome text not null constraint payment_event_outcome_known
        check (outcome in ('applied', 'kept', 'repeated', 'ignored', 'unknown_payment', 'mismatched')),
    applied_at timestamptz,
    constraint payment_event_applied_at_once check ((outcome = 'applied') = (applied_at is not null))
);

-- An event is applied at most once, and so is each change of a payment's status.
create unique index payment_event_applied_key on payment_event (provider, event_id) where outcome = 'applied';
create unique index payment_event_status_key on payment_event (payment_id, kind) where outcome = 'applied';
create index payment_event_event_id_idx on payment_event (provider, event_id);
create index payment_event_payment_id_idx on payment_event (payment_id, id);
