-- Background work. A row is written in the transaction of what it serves, and changes to `done` in the transaction of
-- its result: docs/decisions/0301-jobs-live-in-postgresql.md.
create table job (
    id uuid constraint job_pkey primary key,
    kind text not null constraint job_kind_named check (kind <> ''),
    owner text not null,
    payload jsonb not null,
    state text not null
        constraint job_state_known check (state in ('waiting', 'ready', 'running', 'done', 'dead')),
    -- 0 is the most urgent.
    priority smallint not null constraint job_priority_known check (priority between 0 and 3),
    -- Which of its owner's jobs it is, so that owners take turns.
    turn bigint not null,
    attempts integer not null default 0
        constraint job_attempts_natural check (attempts >= 0),
    run_at timestamptz not null,
    worker text,
    lease_until timestamptz,
    dedupe_key text,
    last_error text,
    created_at timestamptz not null,
    claimed_at timestamptz,
    finished_at timestamptz,
    constraint job_leased_while_running
        check ((state = 'running') = (worker is not null and lease_until is not null)),
    constraint job_finished_at_the_end check ((state in ('done', 'dead')) = (finished_at is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create unique index job_dedupe_key on job (kind, dedupe_key) where dedupe_key is not null;

-- The order in which jobs are claimed.
create index job_ready_idx on job (kind, priority, turn, id) where state = 'ready';
-- The last turn of an owner.
create index job_ready_owner_idx on job (kind, priority, owner, turn) where state = 'ready';
create index job_waiting_idx on job (run_at) where state = 'waiting';
create index job_running_idx on job (kind) where state = 'running';
create index job_finished_idx on job (finished_at) where state in ('done', 'dead');
