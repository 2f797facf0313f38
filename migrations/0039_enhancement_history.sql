-- Tickets that service desks have posted, and what became of them. The job of the same id processes the ticket; a ticket
-- that is deleted here is not processed any more.
create table enhancement_history (
    id uuid constraint enhancement_history_pkey primary key,
    tenant_id text not null
        constraint enhancement_history_tenant_id_fkey references tenant_configs (tenant_id) on delete cascade,
    -- The `webhook-id` of the request, or the hash of its body: a ticket that is posted again is processed once.
    delivery_id text not null
        constraint enhancement_history_delivery_id_size check (char_length(delivery_id) between 1 and 200),
    event text not null
        constraint enhancement_history_event_size check (char_length(event) between 1 and 100),
    ticket_id text not null
        constraint enhancement_history_ticket_id_format check (ticket_id ~ '^[A-Z0-9-]{1,100}$'),
    description text not null
        constraint enhancement_history_description_size check (char_length(description) between 1 and 10000),
    priority text not null
        constraint enhancement_history_priority_known check (priority in ('low', 'medium', 'high', 'critical')),
    ticket_created_at timestamptz not null,
    correlation_id text
        constraint enhancement_history_correlation_id_size check (char_length(correlation_id) between 1 and 200),
    status text not null default 'pending'
        constraint enhancement_history_status_known check (status in ('pending', 'completed', 'failed')),
    -- What the writer was given, and which of the sources failed.
    context jsonb,
    -- Written before the note is posted to the service desk, so that it is not written twice.
    enhancement text,
    error text,
    attempts integer not null default 0
        constraint enhancement_history_attempts_natural check (attempts >= 0),
    processing_time_ms integer
        constraint enhancement_history_processing_time_natural check (processing_time_ms >= 0),
    accepted_at timestamptz not null,
    completed_at timestamptz,
    constraint enhancement_history_delivery_key unique (tenant_id, delivery_id),
    constraint enhancement_history_ends_once check ((status = 'pending') = (completed_at is null)),
    constraint enhancement_history_failed_with_error check ((status = 'failed') = (error is not null))
);

create index enhancement_history_tenant_id_idx on enhancement_history (tenant_id, id);
create index enhancement_history_ticket_id_idx on enhancement_history (tenant_id, ticket_id, id);

alter table enhancement_history enable row level security;
create policy enhancement_history_of_tenant on enhancement_history using (
    current_setting('plant.tenant_id', true) in (tenant_id, '*')
);
