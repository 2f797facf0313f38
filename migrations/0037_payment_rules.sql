-- The rules of payments hold for every writer: statuses follow each other, and the ledger has exactly the entries that the
-- status of the payment says.

-- Functions that check see the tables of this schema only, whatever temporary tables a session has made.
alter function base_entity_extends_its_chain() set search_path = public, pg_temp;
alter function ledger_check_entry() set search_path = public, pg_temp;

-- Checks the entries of a ledger transaction: they move the amount of the payment, in its currency.
create or replace function ledger_check_balance(checked uuid) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    expected text[];
    found_entries text[];
begin
    select case t.kind
        when 'capture' then array[
            concat_ws(' ', 'provider', p.currency, p.amount), concat_ws(' ', 'revenue', p.currency, - p.amount)
        ]
        else array[
            concat_ws(' ', 'provider', p.currency, - p.amount), concat_ws(' ', 'refunds', p.currency, p.amount)
        ]
    end
    into expected
    from ledger_transaction t
    join payment p on p.id = t.payment_id
    where t.id = checked;
    if not found then
        -- Deleted together with its entries, which reference it.
        return;
    end if;
    select array_agg(concat_ws(' ', account, currency, amount) order by account)
    into found_entries
    from ledger_entry
    where transaction_id = checked;
    if found_entries is distinct from expected then
        raise exception 'ledger transaction %: its entries are %, not %', checked, found_entries, expected
            using errcode = 'check_violation', constraint = 'ledger_transaction_balanced';
    end if;
end
$$;

-- Checks that a payment has the ledger transactions of its status.
create function payment_check_ledger(checked uuid) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
    expected text[];
    found_kinds text[];
begin
    select case status
        when 'succeeded' then array['capture']
        when 'refunded' then array['capture', 'refund']
        else '{}'
    end
    into expected
    from payment
    where id = checked;
    if not found then
        return;
    end if;
    select coalesce(array_agg(kind order by kind), '{}') into found_kinds
    from ledger_transaction
    where payment_id = checked;
    if found_kinds <> expected then
        raise exception 'payment %: the ledger has %, not %', checked, found_kinds, expected
            using errcode = 'check_violation', constraint = 'payment_agrees_with_ledger';
    end if;
end
$$;

create or replace function ledger_check_transaction() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    perform ledger_check_balance(new.id);
    perform payment_check_ledger(new.payment_id);
    return null;
end
$$;

create function payment_check() returns trigger
language plpgsql set search_path = public, pg_temp as $$
begin
    perform payment_check_ledger(new.id);
    return null;
end
$$;

create constraint trigger payment_agrees_with_ledger
    after insert or update of status on payment
    deferrable initially deferred
    for each row when (new.status <> 'pending') execute function payment_check();

create function payment_status_follows() returns trigger
language plpgsql as $$
begin
    if new.status is distinct from old.status and (old.status, new.status) not in (
        ('pending', 'waiting_for_capture'),
        ('waiting_for_capture', 'succeeded'),
        ('waiting_for_capture', 'canceled'),
        ('waiting_for_capture', 'failed'),
        ('succeeded', 'refunded')
    ) then
        raise exception 'payment %: % does not follow %', new.id, new.status, old.status
            using errcode = 'check_violation', constraint = 'payment_status_follows';
    end if;
    return new;
end
$$;

create trigger payment_status_follows
    before update of status on payment
    for each row execute function payment_status_follows();
