-- Kinds of jobs that no worker claims until they are resumed.
create table paused_queue (
    kind text constraint paused_queue_pkey primary key,
    paused_at timestamptz not null
);
