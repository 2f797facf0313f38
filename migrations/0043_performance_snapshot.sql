-- Snapshots of the performance agent: the metrics of a target at one time. Deleted after some days.
create table performance_snapshot (
    id uuid constraint performance_snapshot_pkey primary key,
    -- `self`, or the URL of a Prometheus endpoint.
    target text not null
        constraint performance_snapshot_target_size check (char_length(target) between 1 and 2000),
    collected_at timestamptz not null,
    snapshot jsonb not null
        constraint performance_snapshot_object check (jsonb_typeof(snapshot) = 'object')
);

create index performance_snapshot_collected_at_idx on performance_snapshot (collected_at, id);
create index performance_snapshot_target_idx on performance_snapshot (target, collected_at, id);

-- What the connections to this database do, without the caller's own. PostgreSQL hides the statements of other logins;
-- this function returns those that the owner of the database may see, and only these, so that the service's role needs no
-- right on the statements of other databases.
create function database_activity() returns table (
    pid integer,
    state text,
    seconds double precision,
    wait_event_type text,
    statement text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        activity.pid,
        activity.state,
        extract(epoch from clock_timestamp() - activity.query_start)::double precision,
        activity.wait_event_type,
        left(activity.query, 4000)
    from pg_stat_activity activity
    where activity.datname = current_database()
        and activity.backend_type = 'client backend'
        and activity.pid <> pg_backend_pid()
$$;

revoke execute on function database_activity() from public;
