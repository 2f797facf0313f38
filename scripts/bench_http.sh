#!/usr/bin/env bash
# Measures throughput and latency of the service, of a bare hyper server, of pgbench and of redis-benchmark, in alternation;
# then the service's memory after a million requests.
#
#   scripts/bench_http.sh [--seconds N]    seconds per measurement (default 5); three rounds of eighteen measurements
#
# Starts its own PostgreSQL, Redis and service (release build, 100 agents, 50 skills), and stops them at the end. Prints
# a table of the medians and writes it to docs/performance.md, with the machine and this command. Linux only.
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
# shellcheck source=scripts/bench/table.sh
. "$ROOT/scripts/bench/table.sh"

ROUNDS=3
SECONDS_EACH=5
CONNECTIONS=64
POOL_SIZE=14 # database connections of the service and of pgbench
WORK=.plant/bench
MEASUREMENTS=$WORK/measurements
CUSTOMER=/api/v1/customers/test-customer-001/agents

main() {
  cd "$ROOT"
  case ${1:-} in
    '') ;;
    --seconds) SECONDS_EACH=$2 ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/bench_http.sh" ;;
  esac
  [[ $SECONDS_EACH =~ ^[1-9][0-9]*$ ]] || fail "--seconds must be a positive integer"
  command_exists wrk || install_packages wrk
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up

  log "Build, PostgreSQL, Redis, test data"
  build_release --bins --example bare_hyper
  start_dedicated_services bench
  PGBENCH=$(postgresql_bin_directories | head -n 1)/pgbench
  [ -x "$PGBENCH" ] || fail "pgbench is not installed; it is part of the PostgreSQL packages"
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  start_servers
  local round
  : >"$MEASUREMENTS"
  for round in $(seq "$ROUNDS"); do
    log "Round $round of $ROUNDS"
    measure_round
  done
  measure_memory
  table | tee "$WORK/table"
  write_into_docs
}

# Starts the service with Redis and without it, and one bare hyper server per response body.
start_servers() {
  local port
  port=$(free_port 18100)
  start_service "$port" "$WORK/cached.log" DATABASE_POOL_SIZE="$POOL_SIZE"
  CACHED_PID=$SERVICE CACHED=http://127.0.0.1:$port
  AGENT=$(first_id "$port" '/api/v1/agents?limit=1')
  HIRE=$(first_id "$port" "$CUSTOMER?limit=1")
  SKILL=$(psql -X -q -A -t -d "$DATABASE_URL" -c "select id from skill order by id limit 1")
  TOKEN=$(curl -fsS "$CACHED/api/v1/auth/login" -H 'Content-Type: application/json' -d @scripts/bench/login.json |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  fetch_body "$port" /health >"$WORK/health"
  fetch_body "$port" '/api/v1/agents?limit=100' >"$WORK/list"
  fetch_body "$port" "/api/v1/agents/$AGENT" >"$WORK/agent"

  port=$(free_port $((port + 1)))
  start_service "$port" "$WORK/uncached.log" DATABASE_POOL_SIZE="$POOL_SIZE" REDIS_URL=
  UNCACHED_PID=$SERVICE UNCACHED=http://127.0.0.1:$port

  start_bare_server health && BARE_HEALTH=$BARE
  start_bare_server list && BARE_LIST=$BARE
  start_bare_server agent && BARE_AGENT=$BARE
}

first_id() {
  fetch_body "$1" "$2" | sed -n 's/^\[{"id":"\([^"]*\)".*/\1/p'
}

# Usage: start_bare_server <body file in WORK>. Sets BARE to its URL.
start_bare_server() {
  local port
  port=$(free_port 18200)
  start "$BIN/examples/bare_hyper" --bytes "$WORK/$1" --listen "127.0.0.1:$port"
  wait_until 5 is_port_in_use "$port" || fail "bare_hyper did not start on port $port within 5 s"
  BARE=http://127.0.0.1:$port
}

# Measures each route right before its baselines, so that other load on the machine affects both.
measure_round() {
  record_other_load
  measure_route health service "$CACHED_PID" "$CACHED/health"
  measure_route health hyper - "$BARE_HEALTH/health"
  measure_route list service "$CACHED_PID" "$CACHED/api/v1/agents?limit=100"
  measure_route list hyper - "$BARE_LIST/api/v1/agents?limit=100"
  measure_route agent service "$CACHED_PID" "$CACHED/api/v1/agents/$AGENT"
  measure_route agent hyper - "$BARE_AGENT/api/v1/agents/$AGENT"
  measure_route uncached service "$UNCACHED_PID" "$UNCACHED/api/v1/agents/$AGENT"
  measure_pgbench uncached agent_by_id.sql
  measure_pgbench uncached agent_by_id_pipelined.sql pipelined 10
  measure_redis agent
  measure_route goal service "$CACHED_PID" "$CACHED/api/v1/agents/$HIRE/goals" POST scripts/bench/new_goal.json
  measure_route goal hyper - "$BARE_AGENT/api/v1/agents/$HIRE/goals" POST scripts/bench/new_goal.json
  measure_pgbench goal new_goal.sql
  measure_route goals service "$CACHED_PID" "$CACHED/api/v1/agents/$HIRE/goals"
  # With 64 each would wait for a connection of the pool for longer than is accepted.
  CONNECTIONS=16 measure_route certify service "$CACHED_PID" "$CACHED/api/v1/genesis/skills/$SKILL/certify" POST scripts/bench/empty.json
  # More would wait for a thread that hashes passwords, and be rejected.
  CONNECTIONS=4 measure_route login service "$CACHED_PID" "$CACHED/api/v1/auth/login" POST scripts/bench/login.json
  measure_route generation service "$CACHED_PID" "$CACHED/api/v1/generation/create" POST scripts/bench/generation.json "$TOKEN"
}

# Usage: measure_route <route> <system> <pid or -> <url> [method body-file [token]]
measure_route() {
  local route=$1 system=$2 pid=$3 url=$4
  shift 4
  measure_wrk "$pid" -s scripts/bench/wrk.lua "$url" -- "$@"
  # route system requests/s p50 p99 cpu-microseconds failed
  printf '%s %s %s\n' "$route" "$system" "$RESULT" | tee -a "$MEASUREMENTS" >&2
}

# Usage: measure_pgbench <route> <SQL file> [name] [statements in the file]. Uses the role and the number of connections of
# the service.
measure_pgbench() {
  local log=$WORK/pgbench
  rm -f "$log".*
  run env PGOPTIONS='-c role=plant_app' "$PGBENCH" -n -M prepared -c "$POOL_SIZE" -j 2 -T "$SECONDS_EACH" -D agent="$AGENT" \
    -D hire="$HIRE" -f "scripts/bench/$2" -l --log-prefix="$log" "$DATABASE_URL" >"$WORK/pgbench.out" 2>&1 ||
    fail "pgbench failed; see $WORK/pgbench.out"
  cat "$log".* | awk '{ print $3 }' | sort -n | awk -v route="$1" -v name="pgbench${3:+-$3}" -v statements="${4:-1}" \
    -v seconds="$SECONDS_EACH" '
    { latency[NR] = $1 }
    END {
      p50 = latency[int(NR * 0.5) + 1] / 1e3; p99 = latency[int(NR * 0.99) + 1] / 1e3
      print route, name, NR * statements / seconds, p50, p99, 0, 0
    }' | tee -a "$MEASUREMENTS" >&2
}

# Usage: measure_redis <route>. Reads the cached body from Redis on each of 64 connections.
measure_redis() {
  local port=${REDIS_URL##*:}
  port=${port%%/*}
  redis-cli -p "$port" -x set bench:body <"$WORK/$1" >/dev/null
  run redis-benchmark -p "$port" -c "$CONNECTIONS" -n 100000 --csv get bench:body >"$WORK/redis.out"
  # "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms","max_latency_ms"
  tail -n 1 "$WORK/redis.out" | tr -d '"' |
    awk -F, -v route="$1" '{ print route, "redis", $(NF - 6), $(NF - 3), $(NF - 1), 0, 0 }' | tee -a "$MEASUREMENTS" >&2
}

# Sends requests until the service has answered a million of them.
measure_memory() {
  local sent=0 seconds=$SECONDS_EACH rss
  SECONDS_EACH=10
  log "Memory after 1,000,000 requests"
  while [ "$sent" -lt 1000000 ]; do
    measure_wrk "$CACHED_PID" -s scripts/bench/wrk.lua "$CACHED/api/v1/agents?limit=100"
    sent=$(fetch_body "${CACHED##*:}" /metrics | awk '/^http_requests_total/ { sum += $NF } END { printf "%d", sum }')
  done
  SECONDS_EACH=$seconds
  rss=$(awk '/^VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$CACHED_PID/status")
  printf '%s %s\n' "$sent" "$rss" >"$WORK/memory"
}

# Records the CPU use of other processes; waits up to a minute until it is at most 10 %.
record_other_load() {
  local attempts=20 busy
  while busy=$(busy_percent) && [ "$busy" -gt 10 ] && [ "$attempts" -gt 0 ]; do
    attempts=$((attempts - 1))
    sleep 2
  done
  log "CPU use of other processes: $busy %"
  printf '%s\n' "$busy" >>"$WORK/other_load"
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
