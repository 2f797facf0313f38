#!/usr/bin/env bash
# Compiles every SQL statement of plant-api against a temporary database created from migrations/, and saves the query
# metadata in .sqlx/, so that builds need no database.
#
#   scripts/prepare_sql.sh            regenerate .sqlx/; commit it together with the changed statements
#   scripts/prepare_sql.sh --check    only check: lint the whole workspace, and fail if .sqlx/ is out of date
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

SCRATCH=plant_sql_$$
SCRATCH_CREATED=
GENERATED=$ROOT/.plant/sqlx-$$

main() {
  cd "$ROOT"
  at_exit clean_up
  require_rust
  acquire_services
  create_scratch_database
  mkdir -p "$GENERATED"
  case ${1:-} in
    '') compile -p plant-api -- && update_metadata ;;
    --check) compile --workspace -- -D warnings && compare_metadata ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/prepare_sql.sh" ;;
  esac
}

# Usage: compile <cargo arguments> -- <Clippy arguments>
# With SQLX_OFFLINE=false the macros describe each statement on the live database and write query-<hash>.json to
# SQLX_OFFLINE_DIR. Cargo does not track these files and would skip crates that are already compiled. It does track the
# arguments of Clippy, so a unique --cfg forces a rebuild of the workspace's crates only.
compile() {
  run env SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$GENERATED" DATABASE_URL="$(url_of "$SCRATCH")" \
    cargo clippy --all-targets --locked "$@" --cfg "sql_checked_$$_$(date +%s)"
}

compare_metadata() {
  mkdir -p .sqlx
  diff -r -q "$GENERATED" .sqlx >"$GENERATED.diff" || {
    sed "s|$GENERATED|generated metadata|" "$GENERATED.diff" >&2
    fail ".sqlx/ is out of date with the statements and migrations/; run scripts/prepare_sql.sh and commit .sqlx/"
  }
}

update_metadata() {
  rm -rf .sqlx
  mv "$GENERATED" .sqlx
  log ".sqlx/ contains $(find .sqlx -name 'query-*.json' | wc -l | tr -d ' ') statements"
}

create_scratch_database() {
  local migration
  psql_on "$DATABASE_URL" -c "create database $SCRATCH"
  SCRATCH_CREATED=yes
  psql_on "$(url_of "$SCRATCH")" <<'SQL'
do $$ begin create role plant_app nologin; exception when duplicate_object or unique_violation then null; end $$;
SQL
  for migration in migrations/[0-9]*.sql; do
    if head -n 1 "$migration" | grep -q '^-- no-transaction'; then
      psql_on "$(url_of "$SCRATCH")" -f "$migration"
    else
      psql_on "$(url_of "$SCRATCH")" --single-transaction -f "$migration"
    fi
  done
}

clean_up() {
  stop_children
  rm -rf "$GENERATED" "$GENERATED.diff"
  if [ -n "$SCRATCH_CREATED" ]; then
    ignoring_signals psql_on "$DATABASE_URL" -c "drop database $SCRATCH with (force)" || true
  fi
  release_services
}

# Usage: url_of <database>. Prints DATABASE_URL with this database name.
url_of() {
  local base=${DATABASE_URL%%\?*}
  printf '%s/%s%s\n' "${base%/*}" "$1" "${DATABASE_URL#"$base"}"
}

psql_on() {
  local url=$1
  shift
  PGOPTIONS='-c client_min_messages=warning' "$(psql_program)" -X -q -v ON_ERROR_STOP=1 -d "$url" "$@"
}

psql_program() {
  command -v psql || ls "$(postgresql_bin_directories | head -n 1)/psql" 2>/dev/null ||
    fail "psql is not installed (Debian package postgresql-client)"
}

main "$@"
