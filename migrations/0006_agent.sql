create extension if not exists pg_trgm;

create table agent (
    id uuid constraint agent_pkey primary key
        constraint agent_id_fkey references base_entity (id),
    name text not null
        constraint agent_name_key unique
        constraint agent_name_named check (name <> ''),
    skill_id uuid not null constraint agent_skill_id_fkey references skill (id),
    job_role_id uuid not null constraint agent_job_role_id_fkey references job_role (id),
    team_id uuid constraint agent_team_id_fkey references team (id),
    industry_id uuid not null constraint agent_industry_id_fkey references industry (id),
    search_text text not null
);

create index agent_skill_id_idx on agent (skill_id, id);
create index agent_job_role_id_idx on agent (job_role_id, id);
create index agent_team_id_idx on agent (team_id);
create index agent_industry_id_idx on agent (industry_id, id);
-- Without a pending list: agents are searched far more often than written.
create index agent_search_text_idx on agent using gin (search_text gin_trgm_ops)
    with (fastupdate = off);

-- What a search looks through: the names of agent, role, team and skill, a line
-- each, in lower case. Only the agent's own row can change which names these are.
create function agent_set_search_text() returns trigger language plpgsql as $$
begin
    new.search_text := lower(concat_ws(
        e'\n',
        new.name,
        (select name from job_role where id = new.job_role_id),
        (select name from team where id = new.team_id),
        (select name from skill where id = new.skill_id)
    ));
    return new;
end
$$;

create trigger agent_set_search_text
    before insert or update of name, skill_id, job_role_id, team_id on agent
    for each row execute function agent_set_search_text();
