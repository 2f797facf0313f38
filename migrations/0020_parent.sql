-- Finds the children of an entity; most have no parent.
create index base_entity_parent_id_idx on base_entity (parent_id, id) where parent_id is not null;
