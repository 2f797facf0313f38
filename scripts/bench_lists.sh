#!/usr/bin/env bash
# Measures lists and searches that are not cached, over 100, 10,000 and 100,000 agents.
#
#   scripts/bench_lists.sh [--seconds N] [--rounds N] [--before DIRECTORY]
#
# --seconds    per measurement (default 5)
# --rounds     of all measurements (default 3); the table shows medians
# --before     programs of another version, measured in alternation with this one; the table shows the ratio
#
# BIN=DIR uses the programs there instead of building them. Starts its own PostgreSQL and services without Redis, and stops
# them at the end. wrk keeps 64 connections open. Linux only.
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

WORK=.plant/bench_lists
AGENTS=(100 10000 100000)

main() {
  cd "$ROOT"
  read_arguments "$@"
  [ -z "${REST[*]}" ] || fail "unknown argument '${REST[*]}'; see the usage at the top of scripts/bench_lists.sh"
  prepare bench_lists
  local agents
  for agents in "${AGENTS[@]}"; do
    log "$agents agents"
    run "$BIN/seed_test_data" --agents="$agents" --skills=50 >/dev/null
    psql -X -q -d "$DATABASE_URL" -c "vacuum analyze agent, base_entity"
    start_versions REDIS_URL=
    measure_rounds "$agents"
    stop_children
  done
  table request agents | tee "$WORK/table"
}

measure_rounds() {
  local version skill middle
  skill=$(query "select skill_id from agent group by skill_id order by count(*) desc, skill_id limit 1")
  middle=$(query "select id from agent order by id offset $(($1 / 2)) limit 1")
  for _ in $(seq "$ROUNDS"); do
    for version in $(versions); do
      measure_path "$version" list "$1" '/api/v1/agents'
      measure_path "$version" page-in-the-middle "$1" "/api/v1/agents?after=$middle"
      measure_path "$version" skill "$1" "/api/v1/agents?skill_id=$skill"
      measure_path "$version" industry "$1" '/api/v1/agents?industry=marketing'
      measure_path "$version" search-common "$1" '/api/v1/agents?search=writer'
      measure_path "$version" search-rare "$1" '/api/v1/agents?search=zebra'
    done
  done
}

measure_path() {
  measure "$1" "$2" "$3" scripts/bench/wrk.lua "$4"
}

query() {
  psql -X -q -A -t -d "$DATABASE_URL" -c "$1"
}

main "$@"
