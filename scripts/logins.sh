#!/usr/bin/env bash
# How logging in behaves: whether it tells addresses apart by the time it takes, and under twice the load that can be
# hashed.
#
#   scripts/logins.sh            both
#   scripts/logins.sh timing     medians of 200 wrong passwords and 200 unknown addresses
#   scripts/logins.sh overload   logins at twice the hashing capacity, and what others notice of it
#
# It starts a PostgreSQL, a Redis and a service of its own on free ports, ended and deleted afterwards. Exits with 1 when
# a promise was not kept.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/logins
MISSED=0

main() {
  cd "$ROOT"
  case ${1:-all} in
    all | timing | overload) ;;
    *) fail "what is '$1'? See the head of scripts/logins.sh" ;;
  esac
  mkdir -p "$WORK"
  at_exit clean_up
  say "Build, PostgreSQL, Redis, test data, a service"
  build_release --bins --example faults
  own_services logins
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
  return "$MISSED"
}

measure() {
  printf '\n'
  run "$BIN/examples/faults" "login-$1" --address "127.0.0.1:$PORT" || MISSED=1
}

clean_up() {
  stop_children
  destroy_own_services
}

main "$@"
