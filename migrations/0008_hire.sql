create table hired_agent (
    id uuid constraint hired_agent_pkey primary key,
    customer_id text not null constraint hired_agent_customer_id_fkey references customer (id),
    agent_id uuid not null constraint hired_agent_agent_id_fkey references agent (id),
    duration text not null
        constraint hired_agent_duration_known check (duration in ('monthly', 'quarterly')),
    status text not null default 'active'
        constraint hired_agent_status_known check (status in ('active', 'ended')),
    nickname text,
    theme text not null default 'default'
        constraint hired_agent_theme_known check (theme in ('default', 'dark', 'light')),
    settings jsonb not null default '{}',
    trial_end_at timestamptz not null,
    hired_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null default 1
);

create index hired_agent_customer_id_idx on hired_agent (customer_id, id);
create index hired_agent_agent_id_idx on hired_agent (agent_id);
