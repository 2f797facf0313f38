-- What accounts have asked the model for. The job of the same id does it; until then its state is that job's.
create table generation (
    id uuid constraint generation_pkey primary key,
    account_id uuid not null
        constraint generation_account_id_fkey references account (id) on delete cascade,
    prompt text not null
        constraint generation_prompt_size check (char_length(prompt) between 1 and 8000),
    model text not null
        constraint generation_model_known check (model in ('gpt-4', 'gpt-3.5', 'claude-3')),
    temperature double precision not null
        constraint generation_temperature_range check (temperature between 0 and 2),
    max_tokens integer not null
        constraint generation_max_tokens_range check (max_tokens between 1 and 4096),
    result text,
    error text,
    attempts integer not null default 0,
    created_at timestamptz not null,
    started_at timestamptz,
    completed_at timestamptz,
    constraint generation_ends_once check (num_nonnulls(result, error) = num_nonnulls(completed_at))
);

create index generation_account_id_idx on generation (account_id, id);
