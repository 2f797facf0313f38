-- A row of a kind's table belongs to an entity of that kind: the foreign key contains the type. The migration fails, and
-- names the row, if there is one that belongs to an entity of another kind: the service cannot have written it.
alter table base_entity add constraint base_entity_entity_type_id_key unique (entity_type, id);
-- The index of the constraint has the same columns.
drop index base_entity_entity_type_id_idx;

alter table industry
    add column entity_type text not null generated always as ('industry') stored,
    drop constraint industry_id_fkey,
    add constraint industry_id_fkey foreign key (entity_type, id) references base_entity (entity_type, id);

alter table skill
    add column entity_type text not null generated always as ('skill') stored,
    drop constraint skill_id_fkey,
    add constraint skill_id_fkey foreign key (entity_type, id) references base_entity (entity_type, id);

alter table job_role
    add column entity_type text not null generated always as ('job_role') stored,
    drop constraint job_role_id_fkey,
    add constraint job_role_id_fkey foreign key (entity_type, id) references base_entity (entity_type, id);

alter table team
    add column entity_type text not null generated always as ('team') stored,
    drop constraint team_id_fkey,
    add constraint team_id_fkey foreign key (entity_type, id) references base_entity (entity_type, id);

alter table agent
    add column entity_type text not null generated always as ('agent') stored,
    drop constraint agent_id_fkey,
    add constraint agent_id_fkey foreign key (entity_type, id) references base_entity (entity_type, id);
