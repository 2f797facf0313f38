create table goal (
    id uuid constraint goal_pkey primary key,
    hired_agent_id uuid not null
        constraint goal_hired_agent_id_fkey references hired_agent (id),
    goal_template_id text,
    title text not null constraint goal_title_named check (title <> ''),
    description text not null,
    schedule text not null
        constraint goal_schedule_known
        check (schedule in ('daily', 'weekly', 'monthly', 'on_demand')),
    enabled boolean not null,
    settings jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null default 1
);

create index goal_hired_agent_id_idx on goal (hired_agent_id, id);
