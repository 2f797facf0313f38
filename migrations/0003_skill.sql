create table skill (
    id uuid constraint skill_pkey primary key
        constraint skill_id_fkey references base_entity (id),
    name text not null
        constraint skill_name_key unique
        constraint skill_name_named check (name <> ''),
    skill_key text not null constraint skill_skill_key_key unique,
    category text not null
        constraint skill_category_known
        check (category in ('technical', 'soft_skill', 'domain_expertise', 'certification')),
    description text
);

create index skill_category_id_idx on skill (category, id);
