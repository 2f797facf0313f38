-- Indexes by tenant and words, so that a search does not read other tenants' rows.
create extension if not exists btree_gin;

-- What the writer of enhancements is told about a tenant: tickets that were resolved, articles of the knowledge base,
-- and the systems behind the addresses in a ticket's text.
create table resolved_ticket (
    tenant_id text not null
        constraint resolved_ticket_tenant_id_fkey references tenant_configs (tenant_id) on delete cascade,
    ticket_id text not null
        constraint resolved_ticket_ticket_id_format check (ticket_id ~ '^[A-Z0-9-]{1,100}$'),
    description text not null
        constraint resolved_ticket_description_size check (char_length(description) between 1 and 10000),
    resolution text not null
        constraint resolved_ticket_resolution_size check (char_length(resolution) between 1 and 10000),
    resolved_at timestamptz not null,
    search tsvector not null generated always as (to_tsvector('english', description)) stored,
    constraint resolved_ticket_pkey primary key (tenant_id, ticket_id)
);

create index resolved_ticket_search_idx on resolved_ticket using gin (tenant_id, search);
create index resolved_ticket_trigram_idx on resolved_ticket using gin (tenant_id, description gin_trgm_ops);

create table knowledge_article (
    tenant_id text not null
        constraint knowledge_article_tenant_id_fkey references tenant_configs (tenant_id) on delete cascade,
    slug text not null
        constraint knowledge_article_slug_format check (slug ~ '^[a-z0-9][a-z0-9-]{0,99}$'),
    title text not null
        constraint knowledge_article_title_size check (char_length(title) between 1 and 200),
    body text not null
        constraint knowledge_article_body_size check (char_length(body) between 1 and 20000),
    search tsvector not null generated always as (
        setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')
    ) stored,
    constraint knowledge_article_pkey primary key (tenant_id, slug)
);

create index knowledge_article_search_idx on knowledge_article using gin (tenant_id, search);

create table inventory_system (
    tenant_id text not null
        constraint inventory_system_tenant_id_fkey references tenant_configs (tenant_id) on delete cascade,
    address inet not null,
    hostname text not null
        constraint inventory_system_hostname_size check (char_length(hostname) between 1 and 253),
    role text not null
        constraint inventory_system_role_size check (char_length(role) between 1 and 200),
    constraint inventory_system_pkey primary key (tenant_id, address)
);

alter table resolved_ticket enable row level security;
create policy resolved_ticket_of_tenant on resolved_ticket using (
    current_setting('plant.tenant_id', true) in (tenant_id, '*')
);
alter table knowledge_article enable row level security;
create policy knowledge_article_of_tenant on knowledge_article using (
    current_setting('plant.tenant_id', true) in (tenant_id, '*')
);
alter table inventory_system enable row level security;
create policy inventory_system_of_tenant on inventory_system using (
    current_setting('plant.tenant_id', true) in (tenant_id, '*')
);
