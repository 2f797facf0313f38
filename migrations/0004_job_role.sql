create table job_role (
    id uuid constraint job_role_pkey primary key
        constraint job_role_id_fkey references base_entity (id),
    name text not null
        constraint job_role_name_key unique
        constraint job_role_name_named check (name <> ''),
    description text,
    seniority_level text not null
        constraint job_role_seniority_level_known
        check (seniority_level in ('junior', 'mid', 'senior'))
);

create table job_role_skill (
    job_role_id uuid not null
        constraint job_role_skill_job_role_id_fkey references job_role (id),
    skill_id uuid not null
        constraint job_role_skill_skill_id_fkey references skill (id),
    constraint job_role_skill_pkey primary key (job_role_id, skill_id)
);

create index job_role_skill_skill_id_idx on job_role_skill (skill_id);
