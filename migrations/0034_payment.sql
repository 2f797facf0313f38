-- What accounts pay for their plans. Amounts are in minor units of the currency, such as cents.
create table payment (
    id uuid constraint payment_pkey primary key,
    -- No cascade: payments are not deleted with something else.
    account_id uuid not null constraint payment_account_id_fkey references account (id),
    provider text not null constraint payment_provider_named check (provider <> ''),
    plan text not null constraint payment_plan_known check (plan in ('starter', 'pro', 'enterprise')),
    amount bigint not null constraint payment_amount_positive check (amount > 0),
    -- What the client sent, if it differs from the plan's price.
    requested_amount bigint constraint payment_requested_amount_positive check (requested_amount > 0),
    currency text not null
        constraint payment_currency_known check (currency in ('USD', 'EUR', 'GBP', 'INR', 'RUB')),
    status text not null constraint payment_status_known check (
        status in ('pending', 'waiting_for_capture', 'succeeded', 'canceled', 'failed', 'refunded')
    ),
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index payment_account_id_idx on payment (account_id, id);
