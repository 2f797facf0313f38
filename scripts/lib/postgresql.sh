# shellcheck shell=bash
# The checkout's own PostgreSQL cluster. Sourced by services.sh, never run.

# The caller's own settings must not lead us to another server.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGPASSFILE PGDATABASE PGDATA PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE

POSTGRESQL=${FOLDER:?}/postgresql
PASSWORDS=$FOLDER/pgpass

postgresql_home() { printf '%s\n' "$POSTGRESQL/data"; }
postgresql_log() { printf '%s\n' "$POSTGRESQL/postgresql.log"; }
postgresql_pid() { head -n 1 "$POSTGRESQL/data/postmaster.pid" 2>/dev/null || true; }
postgresql_user() { unprivileged_user postgres; }

# The programs of the version that made the cluster, else of the newest one installed.
postgresql_bin() {
  local made_by folder
  made_by=$(cat "$POSTGRESQL/data/PG_VERSION" 2>/dev/null || true)
  for folder in $(installed_postgresqls); do
    if [ -z "$made_by" ] || "$folder/postgres" --version | grep -q " ${made_by}[.]"; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

postgresql_url() {
  local port password
  port=$(port_of postgresql)
  password=$(password_of plant)
  [ -n "$port" ] && [ -n "$password" ] && printf 'postgres://plant:%s@127.0.0.1:%s/plant_db\n' "$password" "$port"
}

postgresql_up() {
  if is_running postgresql; then
    return
  fi
  postgresql_bin >/dev/null ||
    fail "the data in $POSTGRESQL is of PostgreSQL $(cat "$POSTGRESQL/data/PG_VERSION"), which is no longer installed;" \
      "install that version again, or let the data go with 'scripts/services.sh destroy'"
  [ -e "$POSTGRESQL/data/PG_VERSION" ] || make_cluster
  clear_what_a_crash_left
  start_on_a_free_port postgresql 5432
  prepare_database
  say "postgresql: running on 127.0.0.1:$(port_of postgresql)"
}

make_cluster() {
  say "Making a PostgreSQL cluster in $POSTGRESQL"
  rm -rf "$POSTGRESQL" # what an interrupted run left
  install -d -m 700 -o "$(postgresql_user)" "$POSTGRESQL"
  make_passwords
  # Byte order and UTF-8 letters: the same lists and the same search on every machine.
  run_as "$(postgresql_user)" "$(postgresql_bin)/initdb" -D "$POSTGRESQL/new" --username=postgres \
    --encoding=UTF8 --lc-collate=C --lc-ctype="$(utf8_locale)" --lc-messages=C \
    --auth-local=peer --auth-host=scram-sha-256 >"$FOLDER/initdb.log" 2>&1 || {
    tail -n 20 "$FOLDER/initdb.log" >&2
    fail "initdb failed, see $FOLDER/initdb.log"
  }
  mv "$POSTGRESQL/new" "$POSTGRESQL/data"
}

utf8_locale() {
  local name
  for name in C.utf8 C.UTF-8 en_US.UTF-8 en_US.utf8; do
    if locale -a 2>/dev/null | grep -qx "$name"; then
      printf '%s\n' "$name"
      return
    fi
  done
  printf 'C\n'
}

make_passwords() {
  (
    umask 077
    for role in postgres plant; do
      printf '127.0.0.1:*:*:%s:%s\n' "$role" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    done >"$PASSWORDS"
  )
}

password_of() {
  sed -n "s/^.*:$1://p" "$PASSWORDS" 2>/dev/null || true
}

# After `kill -9` a busy backend outlives its postmaster and keeps the shared memory; and the dead one's pid may be
# another process by now, or a zombie. The first makes the next start fail, the second makes PostgreSQL distrust its own
# lock files.
clear_what_a_crash_left() {
  local pid file
  [ -e "$POSTGRESQL/data/postmaster.pid" ] || return 0
  for pid in $(all_in "$POSTGRESQL/data" "$(postgresql_user)"); do
    say "postgresql: ending process $pid of a server that crashed"
    kill "$pid" 2>/dev/null || true
    gone "$pid" 10 || kill -KILL "$pid" 2>/dev/null || true
  done
  pid=$(postgresql_pid)
  for file in "$POSTGRESQL/data/postmaster.pid" "$POSTGRESQL"/.s.PGSQL.*.lock /var/run/postgresql/.s.PGSQL.*.lock; do
    if [ "$(head -n 1 "$file" 2>/dev/null)" = "$pid" ]; then
      rm -f "$file"
    fi
  done
}

postgresql_start() {
  configure_postgresql "$1"
  # Without the lock's descriptor, or the lock would be held for as long as the server lives.
  run_as "$(postgresql_user)" "$(postgresql_bin)/pg_ctl" start -D "$POSTGRESQL/data" -l "$(postgresql_log)" -w -t 60 \
    >/dev/null 2>&1 9>&-
}

postgresql_stop() {
  run_as "$(postgresql_user)" "$(postgresql_bin)/pg_ctl" stop -D "$POSTGRESQL/data" -m fast -w -t 60 >/dev/null ||
    fail "postgresql does not stop, see $(postgresql_log)"
}

# Usage: configure_postgresql <port>. Written anew at every start; what is not here has PostgreSQL's own default.
configure_postgresql() {
  local sockets=$POSTGRESQL preload=
  # So that a bare `psql -U postgres -d plant_db` finds it.
  if [ "$1" = 5432 ] && run_as "$(postgresql_user)" test -w /var/run/postgresql; then
    sockets="$sockets, /var/run/postgresql"
  fi
  if compgen -G "$("$(postgresql_bin)/pg_config" --pkglibdir 2>/dev/null)/pg_stat_statements.*" >/dev/null; then
    preload=pg_stat_statements
  fi
  write_as "$(postgresql_user)" "$POSTGRESQL/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = '$sockets'
max_connections = 200
shared_buffers = '256MB'
max_wal_size = '2GB'
fsync = on
synchronous_commit = on
full_page_writes = on
password_encryption = 'scram-sha-256'
shared_preload_libraries = '$preload'
log_min_duration_statement = 1000
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
lc_messages = 'C'
CONF
  write_as "$(postgresql_user)" "$POSTGRESQL/data/pg_hba.conf" <<CONF
# type database user address method
local all all peer map=plant
host all all 127.0.0.1/32 scram-sha-256
CONF
  for person in "$(id -un)" "$(postgresql_user)"; do
    printf 'plant %s postgres\nplant %s plant\n' "$person" "$person"
  done | sort -u | write_as "$(postgresql_user)" "$POSTGRESQL/data/pg_ident.conf"
}

# The role and the database, as they should be; repeated at every start.
prepare_database() {
  superuser_psql_on postgres -q -v ON_ERROR_STOP=1 >"$FOLDER/prepare.log" 2>&1 <<SQL || {
set client_min_messages = warning;
select 'create role plant' where not exists (select from pg_roles where rolname = 'plant') \gexec
alter role plant login createdb createrole password '$(password_of plant)';
alter role postgres password '$(password_of postgres)';
select 'create database plant_db owner plant' where not exists (select from pg_database where datname = 'plant_db') \gexec
select 'create extension if not exists pg_stat_statements'
where current_setting('shared_preload_libraries') = 'pg_stat_statements' \gexec
SQL
    tail -n 20 "$FOLDER/prepare.log" >&2
    fail "could not make the role plant and its database, see $FOLDER/prepare.log"
  }
}

superuser_psql_on() {
  local database=$1
  shift
  "$(postgresql_bin)/psql" -X -w -h "$POSTGRESQL" -p "$(port_of postgresql)" -U postgres -d "$database" "$@"
}

superuser_psql() {
  is_running postgresql || fail "PostgreSQL is not running: scripts/services.sh up"
  superuser_psql_on plant_db "$@"
}
