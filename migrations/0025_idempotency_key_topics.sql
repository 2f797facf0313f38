-- The cache topics that a write has invalidated, so that its replay can invalidate them again.
alter table idempotency_key add column topics text[] not null default '{}';
