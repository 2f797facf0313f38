-- The SHA-256 of the body that was delivered: a `webhook-id` belongs to one body, and a recorded request without its
-- `webhook-id` is no new delivery. Null: accepted by an earlier version.
alter table enhancement_history add column body_sha256 bytea
    constraint enhancement_history_body_sha256_size check (octet_length(body_sha256) = 32);

create index enhancement_history_body_sha256_idx on enhancement_history (tenant_id, body_sha256)
    where delivery_id like 'id:%';
