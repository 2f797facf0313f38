-- What a login begins. Only the newest refresh token of a session is good, and only its hash is
-- kept: an older one that is well signed has been used before.
create table session (
    id uuid constraint session_pkey primary key,
    account_id uuid not null
        constraint session_account_id_fkey references account (id) on delete cascade,
    refresh_hash bytea not null
        constraint session_refresh_hash_sha256 check (length(refresh_hash) = 32),
    created_at timestamptz not null,
    refreshed_at timestamptz not null,
    expires_at timestamptz not null,
    revoked_at timestamptz
);

create index session_account_id_idx on session (account_id);
create index session_expires_at_idx on session (expires_at);
