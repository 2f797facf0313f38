-- Privileges of the service's role, plant_app: the least that it needs, by table, in the order of the migrations. Not a
-- migration: `plant-api migrate` applies this file after each run, so that a database restored without its grants, or
-- moved to another cluster, gets them again. A migration that creates a table adds its line here.
do $$
begin
    -- A temporary table could stand in for one of the service's tables.
    execute format('revoke temporary on database %I from public', current_database());
end
$$;

grant usage on schema public to plant_app;
grant select on _sqlx_migrations to plant_app;
grant select on database_identity to plant_app;

grant select, insert, update on base_entity to plant_app;
grant select, insert on amendment to plant_app;
grant select, insert on industry to plant_app;
grant select, insert on skill to plant_app;
grant select, insert on job_role, job_role_skill to plant_app;
grant select, insert on team to plant_app;
grant select, insert, update on agent to plant_app;

grant select, insert on customer to plant_app;
grant select, insert, update on hired_agent to plant_app;
grant select, insert, update, delete on goal to plant_app;
grant select, insert on deliverable, deliverable_review to plant_app;

grant select, insert, update, delete on idempotency_key to plant_app;
grant select, insert on account to plant_app;
grant update (password_hash) on account to plant_app;
grant select, insert, update, delete on session to plant_app;
grant select, insert, update, delete on login_failure to plant_app;
grant select, insert, update, delete on job to plant_app;
grant select, insert, update on generation to plant_app;

grant select, insert on payment to plant_app;
grant update (status, updated_at) on payment to plant_app;
grant select, insert on ledger_transaction, ledger_entry to plant_app;
grant select, insert on payment_event to plant_app;
grant update (outcome, applied_at) on payment_event to plant_app;

grant select, insert, update, delete on tenant_configs to plant_app;
grant select, insert, update, delete on enhancement_history to plant_app;
grant select on resolved_ticket, knowledge_article, inventory_system to plant_app;
grant execute on function similar_tickets(text, integer), relevant_articles(text, integer) to plant_app;
grant select, insert, delete on paused_queue to plant_app;

grant select, insert, delete on performance_snapshot to plant_app;
grant execute on function database_activity() to plant_app;
grant select, insert on performance_analysis to plant_app;
grant select, insert, update on tunable to plant_app;
grant select, update on tunable_version to plant_app;
grant select, insert, update, delete on tunable_process to plant_app;
grant select, insert, update, delete on performance_workflow to plant_app;
grant select, insert on performance_workflow_event to plant_app;
grant select, insert, update, delete on performance_reading to plant_app;
