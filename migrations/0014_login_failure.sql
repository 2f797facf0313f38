-- Failed logins by the address that was tried, whether or not it has an account, counted within
-- the minute that begins with the first.
create table login_failure (
    email text constraint login_failure_pkey primary key,
    failures integer not null constraint login_failure_counted check (failures > 0),
    since timestamptz not null
);

create index login_failure_since_idx on login_failure (since);
