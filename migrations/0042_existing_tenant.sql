-- The documented insert of the load-test tenant can be run on a database that was seeded with it: an insert of a tenant
-- that exists with the same name, URL and kind is skipped with a notice. Its secrets are not compared, because those of
-- the existing row may be sealed. An insert that differs is a conflict, as is one by the service.
create function skip_existing_tenant() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    if exists (
        select
        from tenant_configs
        where tenant_id = new.tenant_id
            and name = new.name
            and servicedesk_url = new.servicedesk_url
            and tool_type = new.tool_type
    ) then
        raise notice 'tenant % exists already; nothing was changed', new.tenant_id;
        return null;
    end if;
    return new;
end
$$;

create trigger tenant_configs_skip_existing before insert on tenant_configs
    for each row when (current_user <> 'plant_app') execute function skip_existing_tenant();
