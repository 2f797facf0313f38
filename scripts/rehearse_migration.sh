#!/usr/bin/env bash
# Changes the schema of the running service and undoes it: what a migration does, to see what it costs under load.
#
#   scripts/rehearse_migration.sh
#
# On `goal`, a table that is read and written by every load: a check that is validated separately, and an index that is built
# concurrently. No column, because a dropped one leaves a trace in the table. Every statement gives up after 2 s without its lock, and is tried again, because requests wait behind
# it. All is dropped at the end, also after a signal. Uses DATABASE_URL, without it the database of this checkout.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/database.sh
. "$ROOT/scripts/lib/database.sh"

main() {
  [ $# = 0 ] || fail "unknown argument '$1'; see the usage at the top of scripts/rehearse_migration.sh"
  require_database_url
  at_exit undo
  undo # what a killed rehearsal left behind
  change "alter table goal add constraint goal_rehearsal_check check (updated_at >= created_at) not valid"
  change "alter table goal validate constraint goal_rehearsal_check"
  change "create index concurrently goal_rehearsal_idx on goal (updated_at, title)"
  [ "$(sql "$DATABASE_URL" -c "select indisvalid from pg_index where indexrelid = 'goal_rehearsal_idx'::regclass")" = t ] ||
    fail "the index is not valid"
  undo
  trap - EXIT
  log "rehearsed on $(sql "$DATABASE_URL" -c 'select count(*) from goal') rows of goal; all changes are undone"
}

# Usage: change <statement>. Tries it until it gets its lock.
change() {
  local attempt started output
  for attempt in 1 2 3 4 5; do
    started=$(date +%s%3N)
    if output=$(PGOPTIONS='-c lock_timeout=2s' sql "$DATABASE_URL" -c "$1" 2>&1); then
      log "$(($(date +%s%3N) - started)) ms: $1"
      return
    fi
    log "attempt $attempt of 5: $output"
    # A failed concurrent build leaves an invalid index behind.
    case $1 in *" concurrently "*) sql "$DATABASE_URL" -c "drop index concurrently if exists goal_rehearsal_idx" ;; esac
    sleep 1
  done
  fail "no lock for: $1"
}

undo() {
  change "drop index concurrently if exists goal_rehearsal_idx"
  change "alter table goal drop constraint if exists goal_rehearsal_check"
}

main "$@"
