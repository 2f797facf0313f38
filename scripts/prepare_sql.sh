#!/usr/bin/env bash
# Compiles every SQL statement of plant-api against a scratch database made from migrations/, and keeps what the
# compiler learnt in .sqlx/, so that a build needs no database.
#
#   scripts/prepare_sql.sh            write .sqlx/ anew; commit it with the statements it belongs to
#   scripts/prepare_sql.sh --check    lint the whole workspace instead, and fail when .sqlx/ is not up to date
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

SCRATCH=plant_sql_$$
MADE=
LEARNT=$ROOT/.plant/sqlx-$$

main() {
  cd "$ROOT"
  at_exit clean_up
  need_rust
  borrow_services
  make_scratch_database
  mkdir -p "$LEARNT"
  case ${1:-} in
    '') compile -p plant-api -- && replace ;;
    --check) compile --workspace -- -D warnings && compare ;;
    *) fail "what is '$1'? See the head of scripts/prepare_sql.sh" ;;
  esac
}

# Usage: compile <cargo's arguments> -- <Clippy's>
# With SQLX_OFFLINE=false the macros describe each statement on the live database and write query-<hash>.json into
# SQLX_OFFLINE_DIR. Cargo does not know about that and would skip what it compiled before; but Clippy lets it track the
# lint arguments, so a --cfg that was never there before has the workspace's own crates compiled again, and only those.
compile() {
  run env SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$LEARNT" DATABASE_URL="$(url_of "$SCRATCH")" \
    cargo clippy --all-targets --locked "$@" --cfg "sql_checked_$$_$(date +%s)"
}

compare() {
  mkdir -p .sqlx
  diff -r -q "$LEARNT" .sqlx >"$LEARNT.diff" || {
    sed "s|$LEARNT|the statements|" "$LEARNT.diff" >&2
    fail ".sqlx/ does not fit the statements and migrations/: run scripts/prepare_sql.sh and commit .sqlx/"
  }
}

replace() {
  rm -rf .sqlx
  mv "$LEARNT" .sqlx
  say ".sqlx/ holds $(find .sqlx -name 'query-*.json' | wc -l | tr -d ' ') statements"
}

make_scratch_database() {
  local migration
  psql_on "$DATABASE_URL" -c "create database $SCRATCH"
  MADE=yes
  psql_on "$(url_of "$SCRATCH")" <<'SQL'
do $$ begin create role plant_app nologin; exception when duplicate_object or unique_violation then null; end $$;
SQL
  for migration in migrations/*.sql; do
    if head -n 1 "$migration" | grep -q '^-- no-transaction'; then
      psql_on "$(url_of "$SCRATCH")" -f "$migration"
    else
      psql_on "$(url_of "$SCRATCH")" --single-transaction -f "$migration"
    fi
  done
}

clean_up() {
  stop_children
  rm -rf "$LEARNT" "$LEARNT.diff"
  if [ -n "$MADE" ]; then
    undisturbed psql_on "$DATABASE_URL" -c "drop database $SCRATCH with (force)" || true
  fi
  give_services_back
}

# DATABASE_URL with another database's name.
url_of() {
  local address=${DATABASE_URL%%\?*}
  printf '%s/%s%s\n' "${address%/*}" "$1" "${DATABASE_URL#"$address"}"
}

psql_on() {
  local url=$1
  shift
  PGOPTIONS='-c client_min_messages=warning' "$(psql_program)" -X -q -v ON_ERROR_STOP=1 -d "$url" "$@"
}

psql_program() {
  command -v psql || ls "$(installed_postgresqls | head -n 1)/psql" 2>/dev/null ||
    fail "needs psql (Debian's postgresql-client) to make a scratch database"
}

main "$@"
