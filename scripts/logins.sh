#!/usr/bin/env bash
# Measures logins: whether response times reveal which emails have an account, and the behaviour at twice the password
# hashing capacity.
#
#   scripts/logins.sh            both
#   scripts/logins.sh timing     medians of 200 logins with a wrong password and 200 with an unknown email
#   scripts/logins.sh overload   logins at twice the hashing capacity, and their effect on other requests
#
# The script starts its own PostgreSQL, Redis and service on free ports, and deletes them afterwards. Exit code 1 if a
# threshold is violated.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/logins
VIOLATED=0

main() {
  cd "$ROOT"
  case ${1:-all} in
    all | timing | overload) ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/logins.sh" ;;
  esac
  mkdir -p "$WORK"
  at_exit clean_up
  log "Build, PostgreSQL, Redis, test data, a service"
  build_release --bins --example faults
  start_dedicated_services logins
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=100 --skills=50 --users=250 >/dev/null
  PORT=$(free_port 18400)
  start_service "$PORT" "$WORK/service.log"
  case ${1:-all} in
    all)
      measure timing
      measure overload
      ;;
    *) measure "$1" ;;
  esac
  return "$VIOLATED"
}

measure() {
  printf '\n'
  run "$BIN/examples/faults" "login-$1" --address "127.0.0.1:$PORT" || VIOLATED=1
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
