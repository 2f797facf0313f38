#!/usr/bin/env bash
# Measures the journey of PlantBackendUser without think time, over few and over many goals.
#
#   scripts/bench_journey.sh [--seconds N] [--rounds N] [--before DIRECTORY] [--routes]
#
# --seconds    per measurement (default 5)
# --rounds     of all measurements (default 3); the table shows medians
# --before     programs of another version, measured in alternation with this one; the table shows the ratio
# --routes     measures each route alone, too
#
# BIN=DIR uses the programs there instead of building them. Starts its own PostgreSQL, Redis and services (100 agents, 15
# hired agents), and stops them at the end. wrk keeps 64 connections open. Linux only.
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

WORK=.plant/bench_journey
# Goals of each hired agent when a measurement begins.
GOALS=(1 100 10000)
ROUTES=(health agents industry hires configuration goals deliverables create)

main() {
  cd "$ROOT"
  read_arguments "$@"
  case ${REST[*]} in
    '') ROUTES=() ;;
    --routes) ;;
    *) fail "unknown argument '${REST[*]}'; see the usage at the top of scripts/bench_journey.sh" ;;
  esac
  prepare bench_journey
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  psql -X -q -A -t -F ' ' -d "$DATABASE_URL" -c "select customer_id, id from hired_agent" >"$WORK/hires"
  # shellcheck disable=SC2119 # no settings
  start_versions
  # The first requests open connections and plan statements.
  measure_versions 1 journey
  rm "$WORK/measurements"
  local round
  for round in $(seq "$ROUNDS"); do
    log "Round $round of $ROUNDS"
    measure_round
  done
  table requests "goals of each hired agent" | tee "$WORK/table"
}

measure_round() {
  local goals route
  for goals in "${GOALS[@]}"; do
    measure_versions "$goals" journey
  done
  for route in "${ROUTES[@]}"; do
    measure_versions 100 "$route"
  done
}

# Usage: measure_versions <goals> <route>
measure_versions() {
  local version
  for version in $(versions); do
    set_goals "$1"
    measure "$version" "$2" "$1" scripts/bench/journey.lua / "$WORK/hires" "$2"
  done
}

# Gives each hired agent this number of goals, none of them due, without dead rows in the table.
set_goals() {
  psql -X -q -d "$DATABASE_URL" -v goals="$1" >/dev/null <<'SQL'
set client_min_messages = warning;
create temporary table kept as select distinct on (hired_agent_id) id, hired_agent_id from goal order by hired_agent_id, id;
delete from goal where id not in (select id from kept);
insert into goal (
    id, hired_agent_id, title, description, schedule, enabled, settings, created_at, updated_at, due_at
)
select
    overlay(kept.id::text placing substr(md5(random()::text), 1, 12) from 25)::uuid, hired_agent_id, 'Load test goal',
    'Made by a load test', 'weekly', true, '{}', now(), now(), 'infinity'
from kept, generate_series(2, :goals);
vacuum analyze goal;
SQL
}

main "$@"
