-- Done jobs are deleted after an hour, dead jobs after 30 days: one index each, so that finding expired done jobs does not
-- read all dead ones.
drop index job_finished_idx;

create index job_done_idx on job (finished_at) where state = 'done';
create index job_dead_idx on job (finished_at, id) where state = 'dead';
