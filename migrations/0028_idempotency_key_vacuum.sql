-- Expired keys are deleted from the old end of the index on created_at, in batches. Vacuum removes what they leave behind
-- before each batch has to skip millions of index entries.
alter table idempotency_key set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
