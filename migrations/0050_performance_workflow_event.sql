-- The states that a workflow went through.
create table performance_workflow_event (
    workflow_id uuid not null
        constraint performance_workflow_event_workflow_id_fkey
            references performance_workflow (id) on delete cascade,
    -- Version of the workflow.
    version bigint not null,
    status text not null,
    stage smallint not null,
    health_score double precision,
    actor text not null,
    reason text,
    at timestamptz not null,
    constraint performance_workflow_event_pkey primary key (workflow_id, version)
);
