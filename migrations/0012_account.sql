-- Somebody who can log in. An account belongs to a customer, whose things it may see and change.
create table account (
    id uuid constraint account_pkey primary key,
    customer_id text not null constraint account_customer_id_fkey references customer (id),
    email text not null constraint account_email_key unique
        constraint account_email_trimmed check (email <> '' and email = btrim(email)),
    -- PHC string of Argon2id.
    password_hash text not null,
    role text not null default 'user'
        constraint account_role_known check (role in ('user', 'admin')),
    plan text constraint account_plan_known check (plan in ('starter', 'pro', 'enterprise')),
    is_active boolean not null default true,
    is_verified boolean not null default false,
    created_at timestamptz not null
);

create index account_customer_id_idx on account (customer_id);
