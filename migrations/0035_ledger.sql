-- Double-entry ledger of payments. A transaction moves money between accounts of the ledger; its entries are in minor
-- units, debits positive and credits negative, and their sum is zero in each currency at every commit.
create table ledger_transaction (
    id uuid constraint ledger_transaction_pkey primary key,
    payment_id uuid not null constraint ledger_transaction_payment_id_fkey references payment (id),
    kind text not null constraint ledger_transaction_kind_known check (kind in ('capture', 'refund')),
    created_at timestamptz not null,
    constraint ledger_transaction_payment_id_kind_key unique (payment_id, kind)
);

create table ledger_entry (
    transaction_id uuid not null
        constraint ledger_entry_transaction_id_fkey references ledger_transaction (id),
    account text not null
        constraint ledger_entry_account_known check (account in ('provider', 'revenue', 'refunds')),
    currency text not null,
    amount bigint not null constraint ledger_entry_amount_not_zero check (amount <> 0),
    constraint ledger_entry_pkey primary key (transaction_id, account, currency)
);

create function ledger_check_balance(checked uuid) returns void
language plpgsql as $$
begin
    if exists (
        select from ledger_entry where transaction_id = checked group by currency having sum(amount) <> 0
    ) then
        raise exception 'ledger transaction %: the sum of its entries is not zero', checked
            using errcode = 'check_violation', constraint = 'ledger_transaction_balanced';
    end if;
    if not exists (select from ledger_entry where transaction_id = checked)
        and exists (select from ledger_transaction where id = checked)
    then
        raise exception 'ledger transaction % has no entries', checked
            using errcode = 'check_violation', constraint = 'ledger_transaction_balanced';
    end if;
end
$$;

create function ledger_check_entry() returns trigger
language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform ledger_check_balance(old.transaction_id);
    end if;
    if tg_op <> 'DELETE' then
        perform ledger_check_balance(new.transaction_id);
    end if;
    return null;
end
$$;

create function ledger_check_transaction() returns trigger
language plpgsql as $$
begin
    perform ledger_check_balance(new.id);
    return null;
end
$$;

create constraint trigger ledger_entry_balanced
    after insert or update or delete on ledger_entry
    deferrable initially deferred
    for each row execute function ledger_check_entry();

create constraint trigger ledger_transaction_balanced
    after insert on ledger_transaction
    deferrable initially deferred
    for each row execute function ledger_check_transaction();
