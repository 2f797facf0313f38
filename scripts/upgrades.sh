#!/usr/bin/env bash
# Counts what clients lose when the service is upgraded ten times in a row.
#
#   scripts/upgrades.sh [--count=10] [--time-scale=0.065] [--old-bin=DIR]
#     --time-scale   factor for the profile `upgrade`: 0.065 is 40 s, 20 s of them with both versions
#     --old-bin      folder of another version's plant-api; upgrades then alternate between it and the current one
#
# Each upgrade is a run of the profile `upgrade`: 500 requests per second through HAProxy, while scripts/upgrade.sh replaces the
# version behind it. Beside all of them runs the profile `normal-50`. Prints a table; exit code 1 if a request failed or a run did
# not pass. BIN=DIR uses the programs there instead of building them. Starts its own PostgreSQL, Redis and load balancer, and
# deletes them afterwards.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/upgrades
COUNT=10
TIME_SCALE=0.065
OLD_BIN=
VIOLATED=0
export PLANT_UPGRADE=measured

main() {
  local argument number
  cd "$ROOT"
  for argument in "$@"; do
    case $argument in
      --count=*) COUNT=${argument#*=} ;;
      --time-scale=*) TIME_SCALE=${argument#*=} ;;
      --old-bin=*) OLD_BIN=$(cd "${argument#*=}" && pwd -P) ;;
      *) fail "unknown argument '$argument'; see the usage at the top of scripts/upgrades.sh" ;;
    esac
  done
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  build_release --bins
  OLD_BIN=${OLD_BIN:-$BIN}
  start_dedicated_services upgrades
  PORT=$(free_port 18700)
  export PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE='' LOG_LEVEL=info
  run ./scripts/upgrade.sh up --port "$PORT" --bin "$OLD_BIN"
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null

  cat <<'HEAD'
| upgrade | requests | failed | P95 | P99 | responses of the new version, of the old one | script | verdict |
|---|---:|---:|---:|---:|---:|---:|---|
HEAD
  start_normal_load
  for number in $(seq "$COUNT"); do
    upgrade "$number"
  done
  wait "$NORMAL" || true
  row "normal-50, beside all of them" "$WORK/normal.txt"
  awk '{ requests += $1; failed += $2 } END { printf "| all | %d | %d | | | | | |\n", requests, failed }' "$WORK/totals"
  awk '{ failed += $2 } END { exit failed > 0 }' "$WORK/totals" || VIOLATED=1
  return "$VIOLATED"
}

# The closed load, about as long as all upgrades.
start_normal_load() {
  local seconds
  seconds=$(awk -v count="$COUNT" -v scale="$TIME_SCALE" 'BEGIN { printf "%d\n", count * (600 * scale + 5) + 20 }')
  # The metrics are those of the process that answers, now of one version, now of the other.
  { cat plant-loadtest/profiles/normal-50.toml; printf '[target]\nmetrics = false\n'; } >"$WORK/normal-50.toml"
  start "$BIN/plant-loadtest" run "$WORK/normal-50.toml" --run-time "${seconds}s" --host "http://127.0.0.1:$PORT" --quiet --no-color \
    --html "$WORK/normal.html" --json "$WORK/normal.json" >"$WORK/normal.txt"
  NORMAL=$!
}

# Usage: upgrade <number>. Odd ones are to the current version, even ones back to the old one.
upgrade() {
  local to=$BIN code=0
  [ $(($1 % 2)) = 1 ] || to=$OLD_BIN
  run env PLANT_UPGRADE_BIN="$to" "$BIN/plant-loadtest" run upgrade --time-scale "$TIME_SCALE" --quiet --no-color \
    --host "http://127.0.0.1:$PORT" --html "$WORK/$1.html" --json "$WORK/$1.json" >"$WORK/$1.txt" || code=$?
  [ "$code" = 0 ] || VIOLATED=1
  row "$1" "$WORK/$1.txt"
}

# Usage: row <name> <report>. Prints a row of the table, and adds up the requests.
row() {
  awk -v name="$1" -v totals="$WORK/totals" '
    NR == 1 { verdict = $1; sub(/:.*/, "", verdict) }
    /^Whole run:/ { sent = $3; for (i = 4; i <= NF; i++) if ($i ~ /^succeeded/) succeeded = $(i - 1) }
    /^Latency, all endpoints/ { for (i = 1; i <= NF; i++) { if ($i == "P95") p95 = $(i + 1); if ($i == "P99") p99 = $(i + 1) } }
    /action upgrade/ {
      for (i = 1; i <= NF; i++) if ($i ~ /^(took|after)$/) script = $(i + 1) " s"
      if (match($0, /new version [0-9]+/)) shares = substr($0, RSTART + 12, RLENGTH - 12)
      if (match($0, /old version [0-9]+/)) shares = shares ", " substr($0, RSTART + 12, RLENGTH - 12)
    }
    END {
      printf "| %s | %d | %d | %s ms | %s ms | %s | %s | %s |\n", name, sent, sent - succeeded, p95, p99, shares, script, verdict
      print sent + 0, sent - succeeded >> totals
    }' "$2"
}

clean_up() {
  stop_children
  ./scripts/upgrade.sh down || true
  destroy_dedicated_services
}

main "$@"
