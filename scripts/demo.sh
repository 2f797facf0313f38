#!/usr/bin/env bash
# Starts PostgreSQL, Redis and the service with test data, runs a short load test and prints its verdict.
#
#   scripts/demo.sh           stops everything that it started; exits with the exit code of the load test (0: all thresholds met)
#   scripts/demo.sh --keep    leaves the service, PostgreSQL and Redis running
#   scripts/demo.sh --stop    stops what --keep left running
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

SERVICE_LOG=.plant/plant-api.log
PID_FILE=.plant/plant-api.pid

main() {
  cd "$ROOT"
  case ${1:-} in
    '' | --keep) run_demo "$@" ;;
    --stop) stop_previous_service && ./scripts/services.sh down ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/demo.sh" ;;
  esac
}

run_demo() {
  local started_at=$SECONDS verdict=0
  at_exit clean_up

  log "1/5 PostgreSQL and Redis"
  acquire_services
  log "2/5 Build (takes minutes the first time)"
  build
  stop_previous_service
  log "3/5 Tables and test data"
  set_up_database
  log "4/5 Service"
  start_demo_service
  log "5/5 Load test: 500 requests per second for 40 s"
  run "$BIN/plant-loadtest" run demo --host "http://127.0.0.1:$PORT" \
    --html reports/demo.html --json reports/demo.json || verdict=$?

  log ""
  log "Done in $((SECONDS - started_at)) s: $(verdict_text "$verdict") (exit code $verdict). Report: $ROOT/reports/demo.html"
  if [ "${1:-}" = --keep ]; then
    keep_running
  fi
  log "Try next:"
  log "  ./scripts/demo.sh --keep              leave the service running: http://127.0.0.1:$PORT/docs"
  log "  ${BIN#"$ROOT/"}/plant-loadtest list      list all profiles"
  log "  ./scripts/test.sh                     run all checks"
  return "$verdict"
}

verdict_text() {
  case $1 in
    0) echo "all thresholds met" ;;
    1) echo "a threshold was violated" ;;
    4) echo "invalid: the load generator itself was overloaded" ;;
    *) echo "no verdict" ;;
  esac
}

build() {
  require_rust
  run env SQLX_OFFLINE=true cargo build --profile demo --locked --bins
  BIN=$(target_directory)/demo
}

set_up_database() {
  run "$BIN/plant-api" migrate ||
    fail "migration failed; if the database was created by another version, 'scripts/services.sh destroy' deletes it"
  run "$BIN/seed_test_data" --agents=100 --skills=50
}

start_demo_service() {
  local port listen
  choose_port
  listen=127.0.0.1:$PORT
  for port in 8000 8002; do
    is_port_in_use "$port" || listen+=,127.0.0.1:$port
  done
  start env PLANT_LISTEN="$listen" PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= "$BIN/plant-api" serve >"$SERVICE_LOG" 2>&1
  printf '%s\n' "$!" >"$PID_FILE"
  wait_until_ready "$!" "$PORT" "$SERVICE_LOG"
  log "listening on $listen (pid $!, log $SERVICE_LOG)"
}

choose_port() {
  for PORT in 8001 $(seq 8003 8099); do
    is_port_in_use "$PORT" || return 0
    [ "$PORT" != 8001 ] || log "port 8001 is in use by $(port_owner 8001); trying another port"
  done
  fail "no port from 8001 to 8099 is free"
}

# Stops the service of an earlier run with --keep, or of a run that was killed.
stop_previous_service() {
  local pid name
  pid=$(cat "$PID_FILE" 2>/dev/null || true)
  if [ -n "$pid" ] && has_working_directory "$pid" "$ROOT" "$(id -un)"; then
    name=$(cat "/proc/$pid/comm" 2>/dev/null || ps -o comm= -p "$pid")
    if [[ $name = *plant-api ]]; then
      log "Stopping the service of an earlier run (pid $pid)"
      kill "$pid"
      wait_for_exit "$pid" 25 || kill -KILL "$pid"
    fi
  fi
  rm -f "$PID_FILE"
}

keep_running() {
  log "PostgreSQL, Redis and the service stay running at http://127.0.0.1:$PORT; stop them with ./scripts/demo.sh --stop"
  ./scripts/services.sh up --quiet
  CHILDREN=
}

clean_up() {
  if [ -n "$CHILDREN" ]; then
    stop_children
    rm -f "$PID_FILE"
  fi
  release_services
}

main "$@"
