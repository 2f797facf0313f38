-- The insert of POST /api/v1/agents/{id}/goals. The service generates the UUIDv7 itself (its time prefix appends to the
-- end of the index); here PostgreSQL generates it.
insert into goal (
    id, hired_agent_id, goal_template_id, title, description, schedule, enabled, settings,
    created_at, updated_at, version
)
select
    (lpad(to_hex((extract(epoch from clock_timestamp()) * 1000)::bigint), 12, '0')
        || '7' || substr(md5(random()::text), 1, 19))::uuid,
    h.id, null, 'Publish a weekly article', 'About 800 words', 'weekly', true, '{}', now(), now(), 1
from hired_agent h
where h.id = :hire
    and (null::text is null or h.customer_id = null);
