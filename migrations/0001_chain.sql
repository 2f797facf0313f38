-- The entity every kind shares, and its chain of amendments.

create table base_entity (
    id uuid constraint base_entity_pkey primary key,
    entity_type text not null
        constraint base_entity_entity_type_known
        check (entity_type in ('skill', 'job_role', 'team', 'agent', 'industry')),
    external_id text,
    status text not null
        constraint base_entity_status_known
        check (status in ('active', 'inactive', 'pending_certification', 'certified')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    certified_at timestamptz,
    chain_length bigint not null
        constraint base_entity_chain_length_positive check (chain_length > 0),
    version_hash bytea not null
        constraint base_entity_version_hash_size check (octet_length(version_hash) = 32),
    tags text[] not null default '{}',
    custom_attributes jsonb not null default '{}',
    governance_notes text,
    parent_id uuid constraint base_entity_parent_id_fkey references base_entity (id),
    governance_agent_id text not null
        constraint base_entity_governance_agent_id_named check (governance_agent_id <> '')
);

create index base_entity_entity_type_id_idx on base_entity (entity_type, id);

-- content holds the exact canonical bytes, so that verification never depends
-- on how a database prints JSON.
create table amendment (
    entity_id uuid not null
        constraint amendment_entity_id_fkey references base_entity (id),
    sequence bigint not null constraint amendment_sequence_natural check (sequence >= 0),
    position bigint generated always as identity,
    content bytea not null,
    content_hash bytea not null
        constraint amendment_content_hash_true check (content_hash = sha256(content)),
    link bytea not null constraint amendment_link_size check (octet_length(link) = 32),
    constraint amendment_pkey primary key (entity_id, sequence)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% of % is refused: its rows are append-only', tg_op, tg_table_name
        using errcode = 'restrict_violation';
end
$$;

create trigger amendment_append_only
    before update or delete on amendment
    for each row execute function refuse_change();

create trigger base_entity_never_deleted
    before delete on base_entity
    for each row execute function refuse_change();

-- A base_entity may only come to be, or change, together with the amendment
-- that says so: the head must be that amendment's link, and the link must be
-- the hash of its predecessor and its content (the format: docs/chain.md).
create function base_entity_extends_its_chain() returns trigger language plpgsql as $$
declare
    head amendment;
    previous bytea;
begin
    if tg_op = 'UPDATE' and (
        new.chain_length <> old.chain_length + 1
        or (new.id, new.entity_type, new.created_at) is distinct from (old.id, old.entity_type, old.created_at)
    ) then
        raise exception 'base_entity %: a change must extend the chain by one amendment', old.id
            using errcode = 'restrict_violation';
    end if;

    select * into head
    from amendment
    where entity_id = new.id and sequence = new.chain_length - 1;

    if new.chain_length = 1 then
        previous := decode(repeat('00', 32), 'hex');
    elsif tg_op = 'UPDATE' then
        previous := old.version_hash;
    else
        select link into previous
        from amendment
        where entity_id = new.id and sequence = new.chain_length - 2;
    end if;

    if head.link is distinct from new.version_hash
        or head.link is distinct from sha256(
            'plant/link/v1'::bytea || '\x00'::bytea || uuid_send(new.id)
            || int8send(head.sequence) || previous || head.content_hash
        )
    then
        raise exception 'base_entity %: the version hash is not the head of its chain', new.id
            using errcode = 'restrict_violation';
    end if;
    return null;
end
$$;

create trigger base_entity_extends_its_chain
    after insert or update on base_entity
    for each row execute function base_entity_extends_its_chain();

-- A new entity with its first amendment. Called from the statement that
-- inserts the kind's own row, so that creation is one round trip.
create function begin_entity(
    id uuid, entity_type text, status text, at timestamptz,
    content bytea, content_hash bytea, link bytea, governance_agent_id text
) returns uuid language sql as $$
    with entity as (
        insert into base_entity (
            id, entity_type, status, created_at, updated_at, chain_length, version_hash,
            governance_agent_id
        )
        values (id, entity_type, status, at, at, 1, link, governance_agent_id)
    )
    insert into amendment (entity_id, sequence, content, content_hash, link)
    values (id, 0, content, content_hash, link)
    returning entity_id;
$$;

-- One more amendment of an entity whose row the caller holds locked, together
-- with what the entity then is.
create function amend_entity(
    id uuid, at timestamptz, content bytea, content_hash bytea, link bytea,
    status text, certified_at timestamptz, tags text[], custom_attributes jsonb, governance_notes text
) returns uuid language sql as $$
    insert into amendment (entity_id, sequence, content, content_hash, link)
    select e.id, e.chain_length, amend_entity.content, amend_entity.content_hash, amend_entity.link
    from base_entity e
    where e.id = amend_entity.id;

    update base_entity e
    set chain_length = e.chain_length + 1,
        version_hash = amend_entity.link,
        updated_at = at,
        status = amend_entity.status,
        certified_at = amend_entity.certified_at,
        tags = amend_entity.tags,
        custom_attributes = amend_entity.custom_attributes,
        governance_notes = amend_entity.governance_notes
    where e.id = amend_entity.id
    returning e.id;
$$;
