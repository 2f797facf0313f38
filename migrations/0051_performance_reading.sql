-- The figures before a rollout, with which those after each stage are compared.
alter table performance_workflow add column baseline_snapshot_id uuid;

-- The metrics of each process that took part in measuring a workflow in its current state: its first and its last reading,
-- in the text format of Prometheus.
create table performance_reading (
    workflow_id uuid not null
        constraint performance_reading_workflow_id_fkey
            references performance_workflow (id) on delete cascade,
    process uuid not null,
    first text not null,
    first_at timestamptz not null,
    last text not null,
    last_at timestamptz not null,
    constraint performance_reading_pkey primary key (workflow_id, process)
);
