-- Values of settings that can be changed while the service runs. A setting without a row has its configured value.
create table tunable (
    name text constraint tunable_pkey primary key
        constraint tunable_name_format check (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    -- Null: the configured value.
    value bigint,
    -- The rollout in progress: who owns it, the new value, and the share of it that is in force, in percent.
    rollout_id uuid,
    rollout_value bigint,
    rollout_share smallint
        constraint tunable_rollout_share_stage check (rollout_share in (0, 10, 50, 100)),
    -- The last rollout that ended, and whether its value became the current one.
    ended_rollout_id uuid,
    ended_rollout_finished boolean,
    -- Version of all settings at the last change of this one.
    version bigint not null,
    updated_by text not null,
    updated_at timestamptz not null,
    constraint tunable_rollout_complete check (
        num_nonnulls(rollout_id, rollout_value, rollout_share) in (0, 3)
    ),
    constraint tunable_ended_rollout_complete check (
        num_nonnulls(ended_rollout_id, ended_rollout_finished) in (0, 2)
    )
);

-- Version of all settings. Every change locks this row, so that versions are committed in their order.
create table tunable_version (
    version bigint not null
        constraint tunable_version_not_negative check (version >= 0),
    only_row boolean not null default true
        constraint tunable_version_pkey primary key
        constraint tunable_version_only_row_true check (only_row)
);

insert into tunable_version (version) values (0);
