-- The version of the settings that each process of the service applies. A process reports it after a change and at
-- intervals, and deletes its row when it stops.
create table tunable_process (
    id uuid constraint tunable_process_pkey primary key,
    version bigint not null,
    reported_at timestamptz not null
);
