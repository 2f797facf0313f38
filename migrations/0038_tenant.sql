-- Tenants of the ticket enhancement: service desks that post signed tickets. The names of the table and of its first six
-- columns are part of the documented commands; an insert of these six columns alone makes a usable tenant.
create table tenant_configs (
    tenant_id text constraint tenant_configs_pkey primary key
        constraint tenant_configs_tenant_id_format check (tenant_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name text not null
        constraint tenant_configs_name_size check (char_length(name) between 1 and 200),
    servicedesk_url text not null
        constraint tenant_configs_servicedesk_url_size check (char_length(servicedesk_url) between 1 and 2000),
    -- Sealed secrets. With open access, a value that is not sealed is the secret itself, and is sealed on first use.
    servicedesk_api_key_encrypted text not null
        constraint tenant_configs_servicedesk_api_key_size
            check (octet_length(servicedesk_api_key_encrypted) between 1 and 2000),
    webhook_signing_secret_encrypted text not null
        constraint tenant_configs_webhook_signing_secret_size
            check (octet_length(webhook_signing_secret_encrypted) between 1 and 2000),
    tool_type text not null
        constraint tenant_configs_tool_type_size check (char_length(tool_type) between 1 and 100),
    -- The signing secret before the last rotation, which is valid until then.
    previous_signing_secret_encrypted text,
    previous_signing_secret_expires_at timestamptz,
    -- Null: with open access only.
    allow_unsigned boolean,
    is_active boolean not null default true,
    -- Whose accounts may read the tenant's history.
    customer_id text
        constraint tenant_configs_customer_id_fkey references customer (id) on delete set null,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- So that they fit when they are sealed.
    constraint tenant_configs_literal_size check (
        (
            servicedesk_api_key_encrypted like 'sealed:%'
            or octet_length(servicedesk_api_key_encrypted) <= 1000
        )
        and (
            webhook_signing_secret_encrypted like 'sealed:%'
            or octet_length(webhook_signing_secret_encrypted) <= 1000
        )
    ),
    constraint tenant_configs_previous_secret_expires check (
        num_nonnulls(previous_signing_secret_encrypted, previous_signing_secret_expires_at) in (0, 2)
    )
);

-- The service's role sees the rows of the tenant that its transaction has set, and all of them with `*`, which is no
-- tenant's id. The owner of the table is not restricted.
alter table tenant_configs enable row level security;
create policy tenant_configs_of_tenant on tenant_configs using (
    current_setting('plant.tenant_id', true) in (tenant_id, '*')
);
