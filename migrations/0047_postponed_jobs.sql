-- When a job was postponed first since its last attempt, so that a handler can give up after some time. The age of the job
-- says nothing about it: its queue may have been paused or long.
alter table job add column postponed_since timestamptz;
