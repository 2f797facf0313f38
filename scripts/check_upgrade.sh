#!/usr/bin/env bash
# Checks that an old version of the service runs on the new schema, and that both replace each other without errors.
#
#   scripts/check_upgrade.sh [OLD_REF]              a tag, branch or commit, which is built [default: the newest tag]
#   scripts/check_upgrade.sh --old-bin=DIR          programs of the old version that are built already
#
#   1. The old version creates the tables and test data, and serves. A backup is written.
#   2. The new version migrates. The old one, still running, passes its own smoke test and journeys with writes.
#   3. It restarts on the new schema and passes them again: this is what going back is.
#   4. Behind the load balancer, with requests all the time: an upgrade to the new version, and back to the old one.
#   5. The new version restores the old one's backup.
#
# BIN=DIR uses the new version's programs there instead of building them. Starts its own PostgreSQL, Redis and load balancer, and
# deletes them afterwards. Exit code 1 if anything failed. That migrations only expand the schema is also checked without an old
# version, by a test (plant-api/tests/migrations.rs).
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/check_upgrade
OLD_REF=
OLD_BIN=
export PLANT_UPGRADE=checked

main() {
  cd "$ROOT"
  case ${1:-} in
    --old-bin=*) OLD_BIN=$(cd "${1#*=}" && pwd -P) ;;
    -*) fail "unknown argument '$1'; see the usage at the top of scripts/check_upgrade.sh" ;;
    *) OLD_REF=${1:-$(git describe --tags --abbrev=0 2>/dev/null || true)} ;;
  esac
  [ -n "$OLD_REF$OLD_BIN" ] || fail "there is no tag yet; give the old version, such as 'scripts/check_upgrade.sh HEAD~20'"
  mkdir -p "$WORK"
  rm -f "$WORK"/*.{log,txt,json,html}
  at_exit clean_up
  build_release --bins
  NEW_BIN=$BIN
  [ -n "$OLD_BIN" ] || build_old
  start_dedicated_services upgrade_check
  export PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE='' LOG_LEVEL=info

  log "1. The old version creates its tables, and serves"
  run "$OLD_BIN/plant-api" migrate
  run "$OLD_BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  PORT=$(free_port 18800)
  start_old
  run ./scripts/backup.sh --to "$WORK/old.dump"
  log "2. The new version migrates; journeys of the old one"
  run "$NEW_BIN/plant-api" migrate
  journeys
  log "3. The old version starts on the new schema; the same journeys"
  kill "$SERVICE"
  wait "$SERVICE" || true
  start_old
  journeys
  kill "$SERVICE"
  wait "$SERVICE" || true
  log "4. An upgrade, and back, with 100 requests per second"
  run ./scripts/upgrade.sh up --port "$(free_port 18810)" --bin "$OLD_BIN"
  PORT=$(cat ".plant/upgrade-$PLANT_UPGRADE/port")
  replace "$NEW_BIN"
  replace "$OLD_BIN"
  check_logs
  log "5. The backup of the old version"
  run ./scripts/restore.sh "$WORK/old.dump" --database plant_restored --bin "$NEW_BIN"
  log "The old version runs on the new schema, and both replace each other without errors"
}

# Builds the old version in a folder of its own.
build_old() {
  local source=$WORK/source
  git rev-parse --verify --quiet "$OLD_REF^{commit}" >/dev/null || fail "there is no version '$OLD_REF'; is it fetched?"
  git worktree remove --force "$source" 2>/dev/null || true
  git worktree add --detach --force "$source" "$OLD_REF" >/dev/null 2>&1 || fail "the version $OLD_REF cannot be checked out"
  require_rust
  log "Building the old version, $OLD_REF ($(git -C "$source" rev-parse --short HEAD))"
  run env CARGO_TARGET_DIR="$ROOT/$WORK/target" SQLX_OFFLINE=true cargo build --manifest-path "$source/Cargo.toml" \
    --release --locked --workspace --bins
  OLD_BIN=$ROOT/$WORK/target/release
}

start_old() {
  BIN=$OLD_BIN
  # On a small machine that also compiles, two threads would have no time for passwords.
  start_service "$PORT" "$WORK/old.log" PLANT_HASH_THREADS=8
  BIN=$NEW_BIN
}

# The old version's own load tests. A statement that does not fit the schema is a 500 and an error in the log; a 503 for
# load, such as that of a small machine without time for passwords, is none.
journeys() {
  local profile
  cat >"$WORK/journeys.toml" <<'TOML'
name = "Journeys of an old version"
judge = "point"
[[threshold]]
fail = ["status(500) <= 0%", "errors(client-error, unexpected-status, wrong-shape) <= 0%", "logged_errors <= 0"]
TOML
  for profile in smoke auth generation tickets-baseline; do
    journey "$profile" || journey "$profile" || journey "$profile" || fail "the load generator of the old version was too slow"
    log "   $profile: $(grep '^Whole run:' "$WORK/$profile.txt")"
  done
}

# Usage: journey <profile>. Fails if the load generator was too slow for a verdict.
journey() {
  local code=0
  run "$OLD_BIN/plant-loadtest" run "$1" --users 2 --spawn-rate 2 --run-time 15s --sla "$WORK/journeys.toml" --quiet --no-color \
    --host "http://127.0.0.1:$PORT" --html "$WORK/$1.html" --json "$WORK/$1.json" >"$WORK/$1.txt" || code=$?
  case $code in
    0) return ;;
    4) return 1 ;;
  esac
  cat "$WORK/$1.txt"
  fail "the old version fails on the new schema: profile $1"
}

# Usage: replace <folder>. Replaces the version behind the load balancer; fails if a request fails.
replace() {
  run env PLANT_UPGRADE_BIN="$1" "$NEW_BIN/plant-loadtest" run upgrade --time-scale 0.05 --rate 100 --quiet --no-color \
    --threshold 'errors <= 0%' --host "http://127.0.0.1:$PORT" --html "$WORK/upgrade.html" --json "$WORK/upgrade.json" \
    >"$WORK/upgrade.txt" || true
  if ! grep -q '^Whole run: \([0-9]*\) sent = .*; \1 succeeded[.]$' "$WORK/upgrade.txt" ||
    ! grep -q 'action upgrade took' "$WORK/upgrade.txt"; then
    cat "$WORK/upgrade.txt"
    fail "requests failed while $1 replaced the other version"
  fi
  log "   to $1: $(grep '^Whole run:' "$WORK/upgrade.txt")"
}

check_logs() {
  local errors
  errors=$(cat "$WORK"/*.log .plant/upgrade-"$PLANT_UPGRADE"/{blue,green}.log 2>/dev/null | grep -c ' ERROR ' || true)
  [ "$errors" = 0 ] || fail "$errors errors in the logs of the versions ($WORK, .plant/upgrade-$PLANT_UPGRADE)"
}

clean_up() {
  stop_children
  ./scripts/upgrade.sh down || true
  git worktree remove --force "$WORK/source" 2>/dev/null || true
  destroy_dedicated_services
}

main "$@"
