#!/bin/sh
# Runs once, when the database is created: the role of the service, which owns plant_db but is no superuser.
set -eu

psql -v ON_ERROR_STOP=1 -v password="${PLANT_PASSWORD:?}" -U postgres -d plant_db <<'SQL'
create role plant login createdb createrole password :'password';
alter database plant_db owner to plant;
alter schema public owner to plant;
create extension if not exists pg_stat_statements;
SQL
