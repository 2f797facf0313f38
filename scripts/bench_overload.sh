#!/usr/bin/env bash
# Offers the service more than it can serve, and shows what is served, how fast, and how soon it recovers.
#
#   scripts/bench_overload.sh [--seconds N] [--before DIRECTORY]
#
# --seconds    per measurement (default 10)
# --before     programs of another version, measured after this one
#
# The service, PostgreSQL and Redis share one core, the load generator has another: it must be able to offer more than is
# served. For the same reason the service has no cache: PostgreSQL is the bottleneck. The capacity is what wrk gets over 64
# connections from the journey of PlantBackendUser without think time. Then plant-loadtest offers the same requests at
# shares of the capacity, whatever the responses take; the first two seconds of each are not counted. At last wrk sends the journey to a service with its cache over 64
# and over 1,000 connections. BIN=DIR uses the programs there instead of building them. Starts its own PostgreSQL, Redis
# and services, and stops them at the end. Prints tables and writes the plot docs/images/overload.svg. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/bench/wrk.sh
. "$ROOT/scripts/bench/wrk.sh"
# shellcheck source=scripts/bench/versions.sh
. "$ROOT/scripts/bench/versions.sh"

WORK=.plant/bench_overload
# One core executes few statements at once.
POOL_SIZE=4
SHARES=(25 50 75 100 150 200 300)

main() {
  cd "$ROOT"
  SECONDS_EACH=10
  read_arguments "$@"
  [ -z "${REST[*]}" ] || fail "unknown argument '${REST[*]}'; see the usage at the top of scripts/bench_overload.sh"
  # What is started from here on has one core.
  taskset -pc 0 $$ >/dev/null
  prepare bench_overload
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  psql -X -q -A -t -F ' ' -d "$DATABASE_URL" -c "select customer_id, id from hired_agent" >"$WORK/hires"
  start_versions REDIS_URL=
  local version capacity
  for version in $(versions); do
    # The first requests plan the statements.
    measure_journey "$version" uncached
    measure_journey "$version" uncached
  done
  # The same offers for both.
  capacity=$(awk '$3 == "now" { rate = $4 } END { printf "%d", rate }' "$WORK/measurements")
  log "Capacity: $capacity requests/s"
  for version in $(versions); do
    measure_overload "$version" "$capacity"
  done
  SECONDS_EACH=$SECONDS_EACH python3 scripts/bench/overload.py "$WORK" "$capacity" docs/images/overload.svg | tee "$WORK/table"
  stop_children
  start_versions
  : >"$WORK/measurements"
  for version in $(versions); do
    # The first requests fill the cache.
    measure_journey "$version" warm-up
  done
  : >"$WORK/measurements"
  for version in $(versions); do
    measure_journey "$version" 64
    CONNECTIONS=1000 measure_journey "$version" 1000
  done
  table requests connections | tee -a "$WORK/table"
}

# Usage: measure_journey <version> <what differs>
measure_journey() {
  measure "$1" journey "$2" scripts/bench/journey.lua / "$WORK/hires" journey
}

# On the generator's core.
wrk() {
  taskset -c 1 "$(type -P wrk)" "$@"
}

# Usage: measure_overload <version> <capacity>
measure_overload() {
  local share
  for share in "${SHARES[@]}"; do
    log "$1: $share % of the capacity"
    offer "$1" "$share" "$2" "[$share]"
  done
  log "$1: recovery after 200 %"
  offer "$1" recovery "$2" "[50, 200, 50]"
}

# Usage: offer <version> <name> <capacity> <shares of the stages>: runs a profile and keeps its CSV files.
offer() {
  local profile=$WORK/$1-$2.toml
  python3 - "$3" "$SECONDS_EACH" "$4" >"$profile" <<'PYTHON'
import json, sys

capacity, seconds, shares = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
print('name = "overload"\ndescription = "Shares of the capacity"\nmodel = "open"\nusers = 2000\nsaturate = true')
if len(shares) == 1:
    # The service absorbs a burst before it rejects requests.
    print(f'[[stage]]\nname = "onset"\nrate = {capacity * shares[0] // 100}\nlasts = "2s"\njudged = false')
for index, share in enumerate(shares):
    print(f'[[stage]]\nname = "{index}"\nrate = {capacity * share // 100}\nlasts = "{seconds}s"')
print('[[class]]\nname = "PlantBackendUser"\nweight = 1')
PYTHON
  run taskset -c 1 "$BIN/plant-loadtest" run "$profile" --host "http://127.0.0.1:${PORTS[$1]}" --csv "$WORK/$1-$2" \
    --json "$WORK/$1-$2.json" --html "$WORK/$1-$2.html" >"$WORK/$1-$2.out" 2>&1 || [ $? -ne 2 ] || fail "see $WORK/$1-$2.out"
}

main "$@"
