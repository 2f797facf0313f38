# shellcheck shell=bash
# The PostgreSQL cluster of this checkout. Sourced by services.sh.

# Connection settings of the user's shell must not select another server.
unset PGHOST PGHOSTADDR PGPORT PGUSER PGPASSWORD PGPASSFILE PGDATABASE PGDATA PGSERVICE PGSERVICEFILE PGOPTIONS PGSSLMODE

POSTGRESQL=${STATE_DIRECTORY:?}/postgresql
PASSWORD_FILE=$STATE_DIRECTORY/pgpass

postgresql_home() { printf '%s\n' "$POSTGRESQL/data"; }
postgresql_log() { printf '%s\n' "$POSTGRESQL/postgresql.log"; }
postgresql_pid() { head -n 1 "$POSTGRESQL/data/postmaster.pid" 2>/dev/null || true; }
postgresql_user() { unprivileged_user postgres; }

# Prints the program directory of the version that created the cluster; without a cluster, of the newest version.
postgresql_bin() {
  local version directory
  version=$(cat "$POSTGRESQL/data/PG_VERSION" 2>/dev/null || true)
  for directory in $(postgresql_bin_directories); do
    if [ -z "$version" ] || "$directory/postgres" --version | grep -q " ${version}[.]"; then
      printf '%s\n' "$directory"
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
    fail "the data in $POSTGRESQL requires PostgreSQL $(cat "$POSTGRESQL/data/PG_VERSION"), which is not installed;" \
      "install that version, or delete the data with 'scripts/services.sh destroy'"
  [ -e "$POSTGRESQL/data/PG_VERSION" ] || create_cluster
  clean_up_after_crash
  start_on_free_port postgresql 5432
  prepare_database
  log "postgresql: running on 127.0.0.1:$(port_of postgresql)"
}

create_cluster() {
  log "Creating a PostgreSQL cluster in $POSTGRESQL"
  rm -rf "$POSTGRESQL" # remains of an interrupted run
  install -d -m 700 -o "$(postgresql_user)" "$POSTGRESQL"
  generate_passwords
  # Collation C and a UTF-8 ctype: the same sort order and the same search results on every machine.
  run_as "$(postgresql_user)" "$(postgresql_bin)/initdb" -D "$POSTGRESQL/new" --username=postgres \
    --encoding=UTF8 --lc-collate=C --lc-ctype="$(utf8_locale)" --lc-messages=C \
    --auth-local=peer --auth-host=scram-sha-256 >"$STATE_DIRECTORY/initdb.log" 2>&1 || {
    tail -n 20 "$STATE_DIRECTORY/initdb.log" >&2
    fail "initdb failed; see $STATE_DIRECTORY/initdb.log"
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

generate_passwords() {
  (
    umask 077
    for role in postgres plant; do
      printf '127.0.0.1:*:*:%s:%s\n' "$role" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    done >"$PASSWORD_FILE"
  )
}

password_of() {
  sed -n "s/^.*:$1://p" "$PASSWORD_FILE" 2>/dev/null || true
}

# Removes remains of a server that was killed with SIGKILL: backends that still hold the shared memory, so that the next
# start would fail, and lock files whose pid may now belong to another process, which PostgreSQL would reject.
clean_up_after_crash() {
  local pid file
  [ -e "$POSTGRESQL/data/postmaster.pid" ] || return 0
  for pid in $(pids_in_directory "$POSTGRESQL/data" "$(postgresql_user)"); do
    log "postgresql: stopping process $pid of a crashed server"
    kill "$pid" 2>/dev/null || true
    wait_for_exit "$pid" 10 || kill -KILL "$pid" 2>/dev/null || true
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
  # Close the descriptor of the lock, which the server would otherwise hold while it runs.
  run_as "$(postgresql_user)" "$(postgresql_bin)/pg_ctl" start -D "$POSTGRESQL/data" -l "$(postgresql_log)" -w -t 60 \
    >/dev/null 2>&1 9>&-
}

postgresql_stop() {
  run_as "$(postgresql_user)" "$(postgresql_bin)/pg_ctl" stop -D "$POSTGRESQL/data" -m fast -w -t 60 >/dev/null ||
    fail "postgresql did not stop within 60 s; see $(postgresql_log)"
}

# Usage: configure_postgresql <port>. Overwrites the configuration at every start; other settings have their defaults.
configure_postgresql() {
  local sockets=$POSTGRESQL preload=
  # With the default port and socket directory, `psql -U postgres -d plant_db` works without further options.
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
  for user in "$(id -un)" "$(postgresql_user)"; do
    printf 'plant %s postgres\nplant %s plant\n' "$user" "$user"
  done | sort -u | write_as "$(postgresql_user)" "$POSTGRESQL/data/pg_ident.conf"
}

# Creates or updates the roles and the database; runs at every start.
prepare_database() {
  superuser_psql_on postgres -q -v ON_ERROR_STOP=1 >"$STATE_DIRECTORY/prepare.log" 2>&1 <<SQL || {
set client_min_messages = warning;
select 'create role plant' where not exists (select from pg_roles where rolname = 'plant') \gexec
alter role plant login createdb createrole password '$(password_of plant)';
alter role postgres password '$(password_of postgres)';
select 'create database plant_db owner plant' where not exists (select from pg_database where datname = 'plant_db') \gexec
select 'create extension if not exists pg_stat_statements'
where current_setting('shared_preload_libraries') = 'pg_stat_statements' \gexec
SQL
    tail -n 20 "$STATE_DIRECTORY/prepare.log" >&2
    fail "could not create the role plant and its database; see $STATE_DIRECTORY/prepare.log"
  }
}

superuser_psql_on() {
  local database=$1
  shift
  "$(postgresql_bin)/psql" -X -w -h "$POSTGRESQL" -p "$(port_of postgresql)" -U postgres -d "$database" "$@"
}

superuser_psql() {
  is_running postgresql || fail "PostgreSQL is not running; start it with scripts/services.sh up"
  superuser_psql_on plant_db "$@"
}
