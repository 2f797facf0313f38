#!/usr/bin/env bash
# Restores a backup of scripts/backup.sh into a new database, and proves that it is complete and unaltered.
#
#   scripts/restore.sh FILE --database NAME [--bin DIR] [--export EXPORT]
#     --database NAME   the database to create, on the server of DATABASE_URL; it must not exist
#     --bin DIR         folder of plant-api [default: the newest build]
#     --export EXPORT   where to keep the verified export of all chains [default: it is deleted]
#
# It compares the checksum of the file and the number of rows of each table, migrates the database to the version of
# plant-api, starts that on the restored database, without jobs, and runs `plant-api verify` on its export. Exit code 0: all
# of it succeeded; otherwise 1, and the database is deleted. docs/operations.md says how to continue with it.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/lib/database.sh
. "$ROOT/scripts/lib/database.sh"

FILE=
NAME=
BIN=
EXPORT=
CREATED=

main() {
  local started_at=$SECONDS
  while [ $# -gt 0 ]; do
    case $1 in
      --*)
        [ $# -gt 1 ] || fail "'$1' needs a value; see the usage at the top of scripts/restore.sh"
        case $1 in
          --database) NAME=$2 ;;
          --bin) BIN=$(cd "$2" && pwd -P) ;;
          --export) EXPORT=$2 ;;
          *) fail "unknown argument '$1'; see the usage at the top of scripts/restore.sh" ;;
        esac
        shift 2
        ;;
      *)
        FILE=$1
        shift
        ;;
    esac
  done
  [ -r "$FILE" ] || fail "give the backup to restore; see the usage at the top of scripts/restore.sh"
  [[ $NAME =~ ^[a-z_][a-z0-9_]{0,62}$ ]] || fail "--database needs a name of a-z, 0-9 and _"
  require_database_url
  find_version
  WORK=$(mktemp -d)
  at_exit clean_up
  RESTORED_URL=$(with_database "$DATABASE_URL" "$NAME")

  check_file
  restore
  compare_rows
  new_identity
  DATABASE_URL=$RESTORED_URL "$BIN/plant-api" migrate
  verify_chains
  CREATED=
  log "$FILE is restored in the database $NAME, complete and unaltered, in $((SECONDS - started_at)) s"
}

check_file() {
  [ -r "$FILE.rows" ] || fail "$FILE.rows is missing; it belongs to the backup"
  [ "$(sha256 <"$FILE")" = "$(cat "$FILE.sha256")" ] || fail "$FILE is not what was written: its SHA-256 differs"
}

restore() {
  sql "$DATABASE_URL" -c "create database $NAME" || fail "the database $NAME could not be created"
  CREATED=yes
  # Privileges and the role that has them are created by the migration.
  "$(postgresql_program pg_restore)" --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$RESTORED_URL" "$FILE" ||
    fail "the backup could not be restored"
  sql "$RESTORED_URL" -c "set client_min_messages = error" -c analyze
}

compare_rows() {
  sql "$RESTORED_URL" -c "$ROW_COUNTS" >"$WORK/rows"
  diff "$FILE.rows" "$WORK/rows" >&2 || fail "the number of rows differs from that of the backup"
  log "rows: $(awk '{ rows += $2 } END { print rows }' "$WORK/rows") in $(wc -l <"$WORK/rows" | tr -d ' ') tables, as in the backup"
}

# Responses that Redis caches for the database of the backup do not belong to this one.
new_identity() {
  sql "$RESTORED_URL" -c "update database_identity set id = gen_random_uuid()"
}

verify_chains() {
  local port export=${EXPORT:-$WORK/export.ndjson}
  port=$(free_port 18600)
  DATABASE_URL=$RESTORED_URL REDIS_URL='' start_service "$port" "$WORK/service.log" PLANT_WORK=false
  curl -sf --max-time 1800 "http://127.0.0.1:$port/api/v1/audit/export" -o "$export" || fail "the export failed"
  "$BIN/plant-api" verify "$export" || fail "the restored chains are not intact"
}

clean_up() {
  stop_children
  rm -rf "$WORK"
  if [ -n "$CREATED" ]; then
    sql "$DATABASE_URL" -c "drop database if exists $NAME with (force)" || true
  fi
}

main "$@"
