create table industry (
    id uuid constraint industry_pkey primary key
        constraint industry_id_fkey references base_entity (id),
    name text not null constraint industry_name_named check (name <> ''),
    description text
);

-- Industries are looked up by name in any case.
create unique index industry_name_key on industry (lower(name));
