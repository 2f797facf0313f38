#!/usr/bin/env bash
# From nothing to a verdict: PostgreSQL and Redis, the service with test data, and seed 001's journey against it.
#
#   scripts/demo.sh           everything that was started is stopped again; exits as the verdict does (0: promises kept)
#   scripts/demo.sh --keep    leaves the service, PostgreSQL and Redis running
#   scripts/demo.sh --stop    stops what --keep left
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

LOG=.plant/plant-api.log
PID=.plant/plant-api.pid

main() {
  cd "$ROOT"
  case ${1:-} in
    '' | --keep) demonstrate "$@" ;;
    --stop) stop_an_earlier_service && ./scripts/services.sh down ;;
    *) fail "what is '$1'? See the head of scripts/demo.sh" ;;
  esac
}

demonstrate() {
  local began=$SECONDS verdict=0
  at_exit clean_up

  say "1/5 PostgreSQL and Redis"
  borrow_services
  say "2/5 Build (the first time takes minutes)"
  build
  stop_an_earlier_service
  say "3/5 Tables and test data"
  fill_database
  say "4/5 Service"
  serve
  say "5/5 Load: ten users for half a minute"
  run "$BIN/plant-loadtest" run warmup-10 --time-scale 0.1 --host "http://127.0.0.1:$PORT" \
    --html reports/demo.html --json reports/demo.json || verdict=$?

  say ""
  say "Done in $((SECONDS - began)) s: $(in_words "$verdict") (exit code $verdict). Report: $ROOT/reports/demo.html"
  if [ "${1:-}" = --keep ]; then
    keep
  fi
  say "Try next:"
  say "  ./scripts/demo.sh --keep              the same, and leaves http://127.0.0.1:$PORT/docs to look at"
  say "  ${BIN#"$ROOT/"}/plant-loadtest list      every journey that can be run"
  say "  ./scripts/test.sh                     what must hold before a change lands"
  return "$verdict"
}

in_words() {
  case $1 in
    0) echo "the promises were kept" ;;
    1) echo "a promise was broken" ;;
    4) echo "invalid, because the load generator itself was too busy" ;;
    *) echo "no verdict" ;;
  esac
}

build() {
  need_rust
  run env SQLX_OFFLINE=true cargo build --profile demo --locked --bins
  BIN=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/demo
}

fill_database() {
  run "$BIN/plant-api" migrate ||
    fail "if the database is of another version and may go, 'scripts/services.sh destroy' begins anew"
  run "$BIN/seed_test_data" --agents=100 --skills=50
}

serve() {
  local port listen
  choose_port
  listen=127.0.0.1:$PORT
  for port in 8000 8002; do
    is_taken "$port" || listen+=,127.0.0.1:$port
  done
  start env PLANT_LISTEN="$listen" PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= "$BIN/plant-api" serve >"$LOG" 2>&1
  printf '%s\n' "$!" >"$PID"
  wait_until_ready "$!" "$PORT" "$LOG"
  say "listening on $listen (pid $!, log $LOG)"
}

choose_port() {
  for PORT in 8001 $(seq 8003 8099); do
    is_taken "$PORT" || return 0
    [ "$PORT" != 8001 ] || say "port 8001 is taken by $(holder_of 8001); looking for another"
  done
  fail "no port from 8001 to 8099 is free"
}

# What --keep left, or a demo that was killed.
stop_an_earlier_service() {
  local pid name
  pid=$(cat "$PID" 2>/dev/null || true)
  if [ -n "$pid" ] && works_in "$pid" "$ROOT" "$(id -un)"; then
    name=$(cat "/proc/$pid/comm" 2>/dev/null || ps -o comm= -p "$pid")
    if [[ $name = *plant-api ]]; then
      say "Stopping the service of an earlier demo (pid $pid)"
      kill "$pid"
      gone "$pid" 25 || kill -KILL "$pid"
    fi
  fi
  rm -f "$PID"
}

keep() {
  say "PostgreSQL, Redis and the service keep running, http://127.0.0.1:$PORT; ./scripts/demo.sh --stop ends them"
  ./scripts/services.sh up --quiet
  CHILDREN=
}

clean_up() {
  if [ -n "$CHILDREN" ]; then
    stop_children
    rm -f "$PID"
  fi
  give_services_back
}

main "$@"
