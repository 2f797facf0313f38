-- Privileges of the service's role plant_app: least privilege, table by table.
-- Applied after every run of the migrations, so all statements must be idempotent.
grant usage on schema public to plant_app;
grant select on _sqlx_migrations to plant_app;

grant select, insert on amendment to plant_app;
grant select, insert, update on base_entity to plant_app;
grant select, insert on industry, skill, job_role, job_role_skill, team to plant_app;
grant select, insert, update on agent to plant_app;

grant select, insert on customer to plant_app;
grant select, insert, update on hired_agent to plant_app;
grant select, insert, update, delete on goal to plant_app;
grant select, insert on deliverable, deliverable_review to plant_app;
grant select, insert, update, delete on idempotency_key to plant_app;
grant select, insert, update, delete on job to plant_app;

grant select, insert on account to plant_app;
grant select, insert, update, delete on session, login_failure to plant_app;
grant select, insert, update on generation to plant_app;
