-- A customer's id is a slug such as test-customer-001.
create table customer (
    id text constraint customer_pkey primary key
        constraint customer_id_slug check (id ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    name text not null constraint customer_name_named check (name <> ''),
    email text,
    created_at timestamptz not null
);
