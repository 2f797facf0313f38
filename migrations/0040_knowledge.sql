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
create index resolved_ticket_resolved_at_idx on resolved_ticket (tenant_id, resolved_at);

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

-- Full-text and trigram operators are not leakproof, so PostgreSQL does not use them as conditions of an index below
-- row-level security. The searches are therefore functions with the rights of the tables' owner, who is not restricted;
-- they return rows of the entered tenant only, and none without one or with `*`. GIN indexes have bitmap scans only, so
-- the searches for words disable the other kinds: with a limit the planner may prefer to read the whole table.

-- Matches texts with any of the twelve longest words.
create function any_word_query(words text) returns tsquery
language sql immutable
set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(
        string_agg('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''', ' | '), ''
    )::tsquery
    from (
        select lexeme
        from unnest(to_tsvector('english', left(words, 2000)))
        order by char_length(lexeme) desc, lexeme
        limit 12
    ) word
$$;

-- Of the tickets with any of the words, at most 200 are ranked, so that a common word costs no more than others. If there
-- are none, the newest 1000 are compared by their trigrams, which finds misspelt words. A GIN index of the trigrams
-- would be slower: it would have to read the rows of all tenants that have the same common trigrams.
create function similar_tickets(words text, max_rows integer)
returns table (ticket_id text, description text, resolution text)
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_indexscan = off
as $$
#variable_conflict use_column
declare
    tenant constant text := current_setting('plant.tenant_id', true);
    query constant tsquery := any_word_query(words);
    beginning constant text := left(words, 100);
begin
    return query
    select ticket_id, description, resolution
    from (
        select ticket_id, description, resolution, search
        from resolved_ticket
        where tenant_id = tenant and search @@ query
        limit 200
    ) candidate
    order by ts_rank(search, query) desc, ticket_id desc
    limit max_rows;
    if found then
        return;
    end if;
    perform set_config('enable_indexscan', 'on', true);
    return query
    select ticket_id, description, resolution
    from (
        select ticket_id, description, resolution,
            word_similarity(beginning, description) as similarity
        from resolved_ticket
        where tenant_id = tenant
        order by resolved_at desc
        limit 1000
    ) newest
    where similarity >= 0.3
    order by similarity desc, ticket_id desc
    limit max_rows;
end
$$;

create function relevant_articles(words text, max_rows integer)
returns table (slug text, title text, body text)
language plpgsql stable security definer
set search_path = pg_catalog, public, pg_temp
set enable_seqscan = off
set enable_indexscan = off
as $$
#variable_conflict use_column
declare
    tenant constant text := current_setting('plant.tenant_id', true);
    query constant tsquery := any_word_query(words);
begin
    return query
    select slug, title, body
    from (
        select slug, title, body, search
        from knowledge_article
        where tenant_id = tenant and search @@ query
        limit 200
    ) candidate
    order by ts_rank(search, query) desc, slug
    limit max_rows;
end
$$;

revoke execute on function
    any_word_query(text), similar_tickets(text, integer), relevant_articles(text, integer) from public;
