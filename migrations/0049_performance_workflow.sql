-- Workflows of the performance agent: they find what limits a target, plan changes of tunables, and roll them out.
create table performance_workflow (
    id uuid constraint performance_workflow_pkey primary key,
    target text not null
        constraint performance_workflow_target_size check (char_length(target) between 1 and 2000),
    rules text not null
        constraint performance_workflow_rules_size check (char_length(rules) between 1 and 100),
    requires_approval boolean not null,
    auto_rollout boolean not null,
    monitoring_seconds integer not null
        constraint performance_workflow_monitoring_seconds_range check (monitoring_seconds between 1 and 3600),
    health_threshold double precision not null
        constraint performance_workflow_health_threshold_range check (health_threshold between 0 and 100),
    status text not null
        constraint performance_workflow_status_known check (
            status in (
                'pending', 'collecting', 'analyzing', 'optimizing', 'awaiting_approval', 'approved', 'rejected',
                'rolling_out', 'monitoring', 'completed', 'rolled_back', 'failed'
            )
        ),
    status_since timestamptz not null,
    -- Share of the new values that is in force, in percent; zero: no rollout has begun.
    stage smallint not null default 0
        constraint performance_workflow_stage_known check (stage in (0, 10, 50, 100)),
    -- Version of the tunables that the stage has made.
    tunables_version bigint not null default 0,
    -- The last snapshot and its analysis. No references: snapshots are deleted earlier.
    snapshot_id uuid,
    analysis_id uuid,
    -- Planned changes of tunables.
    changes jsonb not null default '[]'
        constraint performance_workflow_changes_array check (jsonb_typeof(changes) = 'array'),
    -- Health before the rollout, and the last one.
    baseline_score double precision,
    health_score double precision,
    -- Why the workflow ended.
    reason text,
    version bigint not null default 1,
    created_by text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    ended_at timestamptz,
    constraint performance_workflow_ended check (
        (status in ('rejected', 'completed', 'rolled_back', 'failed')) = (ended_at is not null)
    )
);

create index performance_workflow_status_idx on performance_workflow (status, id);
