create table team (
    id uuid constraint team_pkey primary key
        constraint team_id_fkey references base_entity (id),
    name text not null
        constraint team_name_key unique
        constraint team_name_named check (name <> ''),
    description text,
    job_role_id uuid constraint team_job_role_id_fkey references job_role (id)
);
