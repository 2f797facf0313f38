#!/usr/bin/env bash
# Measures the service while its dependencies fail, and with slow clients.
#
#   scripts/faults.sh                      all of the following
#   scripts/faults.sh dependencies [TEXT]  Redis and PostgreSQL killed, frozen, stopped, restarted under light load;
#                                          with TEXT, only the faults whose name contains it
#   scripts/faults.sh read-your-writes     64 writers and 64 readers on two replicas, while Redis is killed twice
#   scripts/faults.sh cut-off              1,000 writes whose clients disconnect at random moments, without and with 50
#                                          kills of the replicas, while 64 readers compare with the database
#   scripts/faults.sh replicas             both of these through HAProxy, and two processes for background jobs
#   scripts/faults.sh hostile [TEXT]       expensive bodies, large lists, clients that do not read; with TEXT, only those
#                                          whose name contains it
#   scripts/faults.sh slow-clients         2000 idle connections and 1000 that send one byte per second
#   scripts/faults.sh stops                20 stops of a third replica under 32 clients
#
# The script starts its own PostgreSQL, Redis and two replicas of the service on free ports, and deletes them afterwards.
# Exit code 1 if a threshold is violated. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/lib/haproxy.sh
. "$ROOT/scripts/lib/haproxy.sh"

WORK=.plant/faults
VIOLATED=0
NAME_FILTER=

main() {
  cd "$ROOT"
  case ${1:-all} in
    all | cut-off | read-your-writes | replicas | slow-clients | stops) ;;
    dependencies | hostile) NAME_FILTER=${2:-} ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/faults.sh" ;;
  esac
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  log "Build, PostgreSQL, Redis, test data, two replicas"
  build_release --bins --example faults
  start_dedicated_services faults
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  start_replicas
  case ${1:-all} in
    dependencies) dependencies ;;
    cut-off) cut_off ;;
    hostile) hostile ;;
    read-your-writes) read_your_writes "$FIRST" "$SECOND" ;;
    replicas) replicas ;;
    slow-clients) slow_clients ;;
    stops) stops ;;
    all)
      dependencies
      read_your_writes "$FIRST" "$SECOND"
      cut_off
      replicas
      hostile
      slow_clients
      stops
      ;;
  esac
  check_logs
  return "$VIOLATED"
}

start_replicas() {
  local port
  port=$(free_port 18300)
  start_service "$port" "$WORK/first.log"
  FIRST=127.0.0.1:$port
  FIRST_PID=$SERVICE
  port=$(free_port $((port + 1)))
  start_service "$port" "$WORK/second.log"
  SECOND=127.0.0.1:$port
}

dependencies() {
  local services=./scripts/services.sh
  cat <<'HEAD'
| fault | 2xx | 4xx | 503 | other 5xx | no response | longest latency before | longest latency | recovered after | /health status, from second | thresholds |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|
HEAD
  fault redis "Redis killed" "$(signal_command KILL redis)" "$services up --quiet"
  fault redis "Redis frozen" "$(signal_command STOP redis)" "$(signal_command CONT redis)"
  fault redis "Redis restarted" "$services down --quiet redis; $services up --quiet"
  fault redis "Redis emptied" "redis-cli -u $REDIS_URL flushall >/dev/null"
  fault database "PostgreSQL restarted" "$services down --quiet postgresql; $services up --quiet"
  fault database "PostgreSQL stopped" "$services down --quiet postgresql" "$services up --quiet"
  fault database "PostgreSQL killed" "$(signal_command KILL postgresql)" "$services up --quiet"
  fault database "PostgreSQL frozen" "$(signal_command STOP postgresql)" "$(signal_command CONT postgresql)"
}

# Usage: fault <redis or database> <name> <command that causes the fault> [command that ends it, four seconds later]
fault() {
  local recovery=()
  [[ $2 = *"$NAME_FILTER"* ]] || return 0
  [ -z "${4:-}" ] || recovery=(--mend "$4")
  run "$BIN/examples/faults" fault --address "$FIRST" --what "$1" --name "$2" --break "$3" "${recovery[@]}" || record_violation
}

# Usage: read_your_writes <address>…
read_your_writes() {
  local addresses=("${@/#/--address=}")
  log ""
  run "$BIN/examples/faults" read-your-writes "${addresses[@]}" \
    --break "$(signal_command KILL redis)" --mend "./scripts/services.sh up --quiet" || record_violation
}

# Usage: cut_off [through], which is through a load balancer.
cut_off() {
  local kills third fourth through=()
  third=127.0.0.1:$(free_port $((${SECOND##*:} + 1)))
  fourth=127.0.0.1:$(free_port $((${third##*:} + 1)))
  for kills in 0 50; do
    log ""
    if [ -n "${1:-}" ]; then
      start_load_balancer "$WORK/cut-off-$kills" "$third" "$fourth"
      through=(--through "$BLUE_FIRST" --through "$GREEN_FIRST" --through "$BALANCED")
    fi
    run env PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= LOG_LEVEL=info \
      "$BIN/examples/faults" cut-off --program "$BIN/plant-api" --logs "$WORK" --kills "$kills" \
      --address "$third" --address "$fourth" "${through[@]}" || record_violation
    [ -z "${1:-}" ] || stop_load_balancer || record_violation
  done
}

# Writes through the load balancer to one replica are read from the other one, and from both in turn.
replicas() {
  local number
  for number in 1 2; do
    start env LOG_FILE= LOG_LEVEL=info "$BIN/plant-api" work 2>"$WORK/work-$number.log"
  done
  start_load_balancer "$WORK/read-your-writes" "$FIRST" "$SECOND"
  wait_until 10 is_up blue green || fail "the load balancer does not reach both replicas"
  read_your_writes "$BLUE_FIRST" "$GREEN_FIRST" "$BALANCED"
  stop_load_balancer || record_violation
  cut_off through
}

hostile() {
  log ""
  run "$BIN/examples/faults" hostile --address "$FIRST" --pid "$FIRST_PID" --only "$NAME_FILTER" || record_violation
}

slow_clients() {
  log ""
  run "$BIN/examples/faults" slow-clients --address "$FIRST" || record_violation
}

stops() {
  log ""
  run "$BIN/examples/faults" stops --program "$BIN/plant-api" --address "127.0.0.1:$(free_port 18400)" || record_violation
}

record_violation() {
  VIOLATED=1
}

# Usage: signal_command <signal> <service>: prints a command that signals all processes that the service then has.
signal_command() {
  printf '. scripts/lib/signal.sh; signal_all %s %s' "$1" "$2"
}

# An error in a log violates the threshold of 0 errors, whatever responses the clients got.
check_logs() {
  local errors
  errors=$(cat "$WORK"/*.log | grep -c ' ERROR ' || true)
  log "errors in the service's log: $errors ($WORK)"
  [ "$errors" = 0 ] || record_violation
}

# A frozen process cannot stop, so continue it first.
clean_up() {
  stop_children
  if [ -n "${PLANT_SERVICES:-}" ]; then
    bash -c "$(signal_command CONT redis); signal_all CONT postgresql" || true
  fi
  destroy_dedicated_services
}

main "$@"
