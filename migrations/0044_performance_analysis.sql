-- Analyses of the performance agent: the findings of a snapshot. Deleted with the snapshot.
create table performance_analysis (
    id uuid constraint performance_analysis_pkey primary key,
    snapshot_id uuid not null
        constraint performance_analysis_snapshot_id_fkey references performance_snapshot (id) on delete cascade,
    created_at timestamptz not null,
    analysis jsonb not null
        constraint performance_analysis_object check (jsonb_typeof(analysis) = 'object')
);

create index performance_analysis_snapshot_id_idx on performance_analysis (snapshot_id);
