create table deliverable (
    id uuid constraint deliverable_pkey primary key,
    hired_agent_id uuid not null
        constraint deliverable_hired_agent_id_fkey references hired_agent (id),
    goal_id uuid constraint deliverable_goal_id_fkey references goal (id) on delete set null,
    title text not null,
    payload jsonb not null,
    execution_status text not null
        constraint deliverable_execution_status_known
        check (execution_status in ('not_executed', 'executed', 'failed')),
    created_at timestamptz not null
);

create index deliverable_hired_agent_id_idx on deliverable (hired_agent_id, id);
create index deliverable_goal_id_idx on deliverable (goal_id);

-- The one decision about a deliverable. No row: pending_review.
create table deliverable_review (
    deliverable_id uuid constraint deliverable_review_pkey primary key
        constraint deliverable_review_deliverable_id_fkey references deliverable (id),
    decision text not null
        constraint deliverable_review_decision_known check (decision in ('approved', 'rejected')),
    notes text,
    decided_by text not null,
    decided_at timestamptz not null
);

create trigger deliverable_review_immutable
    before update or delete on deliverable_review
    for each row execute function refuse_change();
