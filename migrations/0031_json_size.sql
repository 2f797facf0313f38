-- The size of a row in a list, so that a page can end before rows that would exceed its size are read.
-- The size of text is known without reading it; that of jsonb is not.
alter table goal
    add column settings_bytes integer not null
        generated always as (octet_length(settings::text)) stored;
alter table deliverable
    add column payload_bytes integer not null
        generated always as (octet_length(payload::text)) stored;
