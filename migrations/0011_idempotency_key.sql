-- One row for each Idempotency-Key, written in the transaction of what it guards.
create table idempotency_key (
    scope text not null,
    key text not null,
    request_hash bytea not null,
    created_at timestamptz not null,
    status smallint,
    location text,
    etag text,
    body bytea,
    constraint idempotency_key_pkey primary key (scope, key)
);

create index idempotency_key_created_at_idx on idempotency_key (created_at);
