#!/usr/bin/env bash
# Writes a backup of the database in DATABASE_URL, while the service runs, and checks that it can be read.
#
#   scripts/backup.sh [--to FILE] [--keep N]
#     --to FILE    the backup [default: backups/plant_<time>.dump]
#     --keep N     afterwards delete all but the newest N backups of the same folder [default: keep all]
#
# Besides FILE it writes FILE.rows, the number of rows of each table in the same snapshot, and FILE.sha256. restore.sh compares
# both. Without DATABASE_URL the database of this checkout is used. The files are readable only by you.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/database.sh
. "$ROOT/scripts/lib/database.sh"

COMPRESSION=1 # a higher one takes CPU time from the service
FILE=
KEEP=

main() {
  local started_at=$SECONDS
  while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || fail "'$1' needs a value; see the usage at the top of scripts/backup.sh"
    case $1 in
      --to) FILE=$2 ;;
      --keep) KEEP=$2 ;;
      *) fail "unknown argument '$1'; see the usage at the top of scripts/backup.sh" ;;
    esac
    shift 2
  done
  [[ $KEEP =~ ^([1-9][0-9]*)?$ ]] || fail "--keep needs a number of at least 1"
  require_database_url
  FILE=${FILE:-$ROOT/backups/plant_$(date -u +%Y%m%dT%H%M%SZ).dump}
  umask 077
  mkdir -p "$(dirname "$FILE")"
  at_exit clean_up
  write_backup
  delete_old_backups
  log "$FILE: $(wc -c <"$FILE" | tr -d ' ') bytes, $(awk '{ rows += $2 } END { print rows }' "$FILE.rows") rows of" \
    "$(wc -l <"$FILE.rows" | tr -d ' ') tables in $((SECONDS - started_at)) s"
}

# The rows are counted in the snapshot that pg_dump uses, so that a restored database must have exactly these.
write_backup() {
  local snapshot
  coproc SESSION { sql "$DATABASE_URL" 2>&1; }
  SESSION_INPUT=${SESSION[1]}
  printf '%s\n' "begin isolation level repeatable read read only; select pg_export_snapshot();" >&"$SESSION_INPUT"
  read -r -t 30 snapshot <&"${SESSION[0]}" || fail "the database does not respond"
  [[ $snapshot =~ ^[0-9A-F]+-[0-9A-F]+-[0-9]+$ ]] || fail "no snapshot: $snapshot"
  nice "$(postgresql_program pg_dump)" --format=custom --compress="$COMPRESSION" --snapshot="$snapshot" \
    --lock-wait-timeout=60s --file="$FILE.new" "$DATABASE_URL" || fail "pg_dump failed"
  printf '%s;\n\\echo end\n' "$ROW_COUNTS" >&"$SESSION_INPUT"
  local line
  while read -r -t 600 line <&"${SESSION[0]}" && [ "$line" != end ]; do
    printf '%s\n' "$line"
  done >"$FILE.rows.new"
  if [ "${line:-}" != end ] || ! grep -q $'^amendment\t[0-9]' "$FILE.rows.new"; then
    fail "the rows could not be counted: ${line:-}"
  fi
  "$(postgresql_program pg_restore)" --list "$FILE.new" >/dev/null || fail "the backup cannot be read"
  # A backup with this name is always complete.
  sync "$FILE.new" 2>/dev/null || sync
  mv "$FILE.rows.new" "$FILE.rows"
  (cd "$(dirname "$FILE")" && sha256 <"$(basename "$FILE").new" >"$(basename "$FILE").sha256")
  mv "$FILE.new" "$FILE"
}

delete_old_backups() {
  local old
  [ -n "$KEEP" ] || return 0
  find "$(dirname "$FILE")" -maxdepth 1 -name '*.dump' -exec ls -t {} + | tail -n +$((KEEP + 1)) | while read -r old; do
    rm -f "$old" "$old.rows" "$old.sha256"
  done
}

clean_up() {
  rm -f "$FILE.new" "$FILE.rows.new"
  # Ends the session, which holds the snapshot.
  [ -z "${SESSION_PID:-}" ] || kill "$SESSION_PID" 2>/dev/null || true
}

main "$@"
