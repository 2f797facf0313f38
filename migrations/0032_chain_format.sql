-- Version 2 of the chain's format: links also contain the entity's type (docs/chain.md). New
-- chains have version 2. The first link of a chain is the hash of exactly one version, which
-- all its further links then have.

create function chain_link(
    format int, id uuid, entity_type text, sequence bigint, previous bytea, content_hash bytea
) returns bytea language sql immutable as $$
    select sha256(
        case format
            when 1 then 'plant/link/v1'::bytea || '\x00'::bytea || uuid_send(id)
            else 'plant/link/v2'::bytea || '\x00'::bytea || uuid_send(id)
                || set_byte('\x00'::bytea, 0, octet_length(entity_type))
                || convert_to(entity_type, 'UTF8')
        end
        || int8send(sequence) || previous || content_hash
    )
$$;

create or replace function base_entity_extends_its_chain() returns trigger language plpgsql as $$
declare
    no_link constant bytea := decode(repeat('00', 32), 'hex');
    first amendment;
    head amendment;
    previous bytea;
    format int := 2;
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
        previous := no_link;
    elsif tg_op = 'UPDATE' then
        previous := old.version_hash;
    else
        select link into previous
        from amendment
        where entity_id = new.id and sequence = new.chain_length - 2;
    end if;

    if tg_op = 'UPDATE' then
        select * into first
        from amendment
        where entity_id = new.id and sequence = 0;
        if first.link = chain_link(1, new.id, new.entity_type, 0, no_link, first.content_hash) then
            format := 1;
        end if;
    end if;

    if head.link is distinct from new.version_hash
        or head.link is distinct from chain_link(
            format, new.id, new.entity_type, head.sequence, previous, head.content_hash
        )
    then
        raise exception 'base_entity %: the version hash is not the head of its chain', new.id
            using errcode = 'restrict_violation';
    end if;
    return null;
end
$$;
