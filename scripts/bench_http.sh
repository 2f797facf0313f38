#!/usr/bin/env bash
# How fast the service answers, next to what hyper alone and PostgreSQL alone reach in the same minutes.
#
#   scripts/bench_http.sh [--seconds N]    N seconds a measurement (default 5), three rounds of eleven measurements
#
# Starts its own PostgreSQL, Redis and service (release build, 100 agents, 50 skills), and ends them. Prints a table and
# writes it into docs/performance.md, with the machine and this command. Medians of the rounds are shown. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/bench/table.sh
. "$ROOT/scripts/bench/table.sh"

ROUNDS=3
SECONDS_EACH=5
CONNECTIONS=64
POOL=14 # connections to the database, of the service and of pgbench
WORK=.plant/bench
FIGURES=$WORK/figures
CUSTOMER=/api/v1/customers/test-customer-001/agents

main() {
  cd "$ROOT"
  case ${1:-} in
    '') ;;
    --seconds) SECONDS_EACH=$2 ;;
    *) fail "what is '$1'? See the head of scripts/bench_http.sh" ;;
  esac
  [[ $SECONDS_EACH =~ ^[1-9][0-9]*$ ]] || fail "--seconds wants a whole number above zero"
  have wrk || install_packages wrk
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up

  say "Build, PostgreSQL, Redis, test data"
  build_release --bins --example bare_hyper
  own_services bench
  PGBENCH=$(installed_postgresqls | head -n 1)/pgbench
  [ -x "$PGBENCH" ] || fail "needs pgbench, which PostgreSQL's packages bring"
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  serve
  local round
  : >"$FIGURES"
  for round in $(seq "$ROUNDS"); do
    say "Round $round of $ROUNDS"
    measure_round
  done
  table | tee "$WORK/table"
  write_into_docs
}

# The service with and without Redis, and a bare server for each body.
serve() {
  local port
  port=$(free_port 18100)
  start_service "$port" "$WORK/cached.log" DATABASE_POOL_SIZE="$POOL"
  CACHED_PID=$SERVICE CACHED=http://127.0.0.1:$port
  AGENT=$(first_id "$port" '/api/v1/agents?limit=1')
  HIRE=$(first_id "$port" "$CUSTOMER?limit=1")
  fetch_body "$port" /health >"$WORK/health"
  fetch_body "$port" '/api/v1/agents?limit=100' >"$WORK/list"
  fetch_body "$port" "/api/v1/agents/$AGENT" >"$WORK/agent"

  port=$(free_port $((port + 1)))
  start_service "$port" "$WORK/uncached.log" DATABASE_POOL_SIZE="$POOL" REDIS_URL=
  UNCACHED_PID=$SERVICE UNCACHED=http://127.0.0.1:$port

  bare health && BARE_HEALTH=$BARE
  bare list && BARE_LIST=$BARE
  bare agent && BARE_AGENT=$BARE
}

first_id() {
  fetch_body "$1" "$2" | sed -n 's/^\[{"id":"\([^"]*\)".*/\1/p'
}

# Usage: bare <name of a body>
bare() {
  local port tries=50
  port=$(free_port 18200)
  start "$BIN/examples/bare_hyper" --bytes "$WORK/$1" --listen "127.0.0.1:$port"
  until is_taken "$port"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "the bare server does not start"
    sleep 0.1
  done
  BARE=http://127.0.0.1:$port
}

# A route, then its floors, before the next route: what disturbs one disturbs the others.
measure_round() {
  note_disturbance
  with_wrk health service "$CACHED_PID" "$CACHED/health"
  with_wrk health hyper - "$BARE_HEALTH/health"
  with_wrk list service "$CACHED_PID" "$CACHED/api/v1/agents?limit=100"
  with_wrk list hyper - "$BARE_LIST/api/v1/agents?limit=100"
  with_wrk agent service "$CACHED_PID" "$CACHED/api/v1/agents/$AGENT"
  with_wrk agent hyper - "$BARE_AGENT/api/v1/agents/$AGENT"
  with_wrk uncached service "$UNCACHED_PID" "$UNCACHED/api/v1/agents/$AGENT"
  with_pgbench uncached agent_by_id.sql
  with_wrk goal service "$CACHED_PID" "$CACHED/api/v1/agents/$HIRE/goals" POST scripts/bench/new_goal.json
  with_wrk goal hyper - "$BARE_AGENT/api/v1/agents/$HIRE/goals" POST scripts/bench/new_goal.json
  with_pgbench goal new_goal.sql
}

# Usage: with_wrk <route> <who> <pid or -> <url> [method body-file]
with_wrk() {
  local route=$1 who=$2 pid=$3 url=$4 before=0 after=0 answer
  shift 4
  [ "$pid" = - ] || before=$(ticks_of "$pid")
  run wrk -t 2 -c "$CONNECTIONS" -d "${SECONDS_EACH}s" -s scripts/bench/wrk.lua "$url" -- "$@" >"$WORK/wrk.out"
  [ "$pid" = - ] || after=$(ticks_of "$pid")
  answer=$(sed -n 's/^FIGURES //p' "$WORK/wrk.out")
  [ -n "$answer" ] || fail "wrk measured nothing, see $WORK/wrk.out"
  # route who rps p50 p99 cpu-microseconds failed
  awk -v route="$route" -v who="$who" -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" \
    '{ print route, who, $1, $2, $3, $4 ? ticks / hertz * 1e6 / $4 : 0, $5 }' <<<"$answer" | tee -a "$FIGURES" >&2
}

# Usage: with_pgbench <route> <statement>: as the service's role, over as many connections as the service has.
with_pgbench() {
  local log=$WORK/pgbench
  rm -f "$log".*
  run env PGOPTIONS='-c role=plant_app' "$PGBENCH" -n -M prepared -c "$POOL" -j 2 -T "$SECONDS_EACH" -D agent="$AGENT" \
    -D hire="$HIRE" -f "scripts/bench/$2" -l --log-prefix="$log" "$DATABASE_URL" >"$WORK/pgbench.out" 2>&1 ||
    fail "pgbench failed, see $WORK/pgbench.out"
  cat "$log".* | awk '{ print $3 }' | sort -n | awk -v route="$1" -v seconds="$SECONDS_EACH" \
    '{ took[NR] = $1 } END { print route, "pgbench", NR / seconds, took[int(NR * 0.5) + 1] / 1e3, took[int(NR * 0.99) + 1] / 1e3, 0, 0 }' |
    tee -a "$FIGURES" >&2
}

ticks_of() {
  sed 's/^.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# What other processes take of the machine while nothing is measured; waits up to a minute for them to become quiet.
note_disturbance() {
  local tries=20 busy
  while busy=$(busy_percent) && [ "$busy" -gt 10 ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 2
  done
  say "others use $busy % of the machine"
  printf '%s\n' "$busy" >>"$WORK/disturbance"
}

busy_percent() {
  {
    head -n 1 /proc/stat
    sleep 1
    head -n 1 /proc/stat
  } | awk '{ idle = $5 + $6; all = 0; for (i = 2; i <= 9; i++) all += $i }
    NR == 1 { idle0 = idle; all0 = all }
    END { printf "%d\n", 100 - 100 * (idle - idle0) / (all - all0) }'
}

clean_up() {
  stop_children
  destroy_own_services
}

main "$@"
