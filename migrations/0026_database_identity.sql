-- Distinguishes this database from others that share a Redis server.
create table database_identity (
    id uuid not null default gen_random_uuid(),
    only_row boolean not null default true
        constraint database_identity_pkey primary key
        constraint database_identity_only_row_true check (only_row)
);

insert into database_identity default values;
