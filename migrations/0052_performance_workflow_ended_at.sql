-- Workflows that ended long ago are deleted, with their events.
create index performance_workflow_ended_at_idx on performance_workflow (ended_at) where ended_at is not null;
