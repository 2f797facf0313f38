#!/usr/bin/env bash
# How the service bears the loss of what it depends on, and of its clients' manners.
#
#   scripts/faults.sh                      everything below
#   scripts/faults.sh dependencies [word]  Redis and PostgreSQL killed, frozen, stopped, restarted under light load;
#                                          with a word, only the faults whose name has it
#   scripts/faults.sh read-your-writes     64 writers and 64 readers at two replicas, Redis killed twice meanwhile
#   scripts/faults.sh slow-clients         2000 idle connections and 1000 that send a byte a second
#
# Everything broken is this script's own: a PostgreSQL, a Redis and two replicas of the service on free ports, ended and
# deleted afterwards. Exits with 1 when a promise was not kept. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/faults
MISSED=0
ONLY=

main() {
  cd "$ROOT"
  case ${1:-all} in
    all | read-your-writes | slow-clients) ;;
    dependencies) ONLY=${2:-} ;;
    *) fail "what is '$1'? See the head of scripts/faults.sh" ;;
  esac
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  say "Build, PostgreSQL, Redis, test data, two replicas"
  build_release --bins --example faults
  own_services faults
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=100 --skills=50 >/dev/null
  serve
  case ${1:-all} in
    dependencies) dependencies ;;
    read-your-writes) read_your_writes ;;
    slow-clients) slow_clients ;;
    all)
      dependencies
      read_your_writes
      slow_clients
      ;;
  esac
  show_log
  return "$MISSED"
}

serve() {
  local port
  port=$(free_port 18300)
  start_service "$port" "$WORK/first.log"
  FIRST=127.0.0.1:$port
  port=$(free_port $((port + 1)))
  start_service "$port" "$WORK/second.log"
  SECOND=127.0.0.1:$port
}

dependencies() {
  local services=./scripts/services.sh
  cat <<'HEAD'
| fault | 2xx | 4xx | 503 | other 5xx | no answer | longest wait | well again after | /health said, from second | promise |
|---|---:|---:|---:|---:|---:|---:|---:|---|---|
HEAD
  fault redis "Redis killed" "$(signal KILL redis)" "$services up --quiet"
  fault redis "Redis frozen" "$(signal STOP redis)" "$(signal CONT redis)"
  fault redis "Redis restarted" "$services down --quiet redis; $services up --quiet"
  fault redis "Redis emptied" "redis-cli -u $REDIS_URL flushall >/dev/null"
  fault database "PostgreSQL restarted" "$services down --quiet postgresql; $services up --quiet"
  fault database "PostgreSQL stopped" "$services down --quiet postgresql" "$services up --quiet"
  fault database "PostgreSQL killed" "$(signal KILL postgresql)" "$services up --quiet"
  fault database "PostgreSQL frozen" "$(signal STOP postgresql)" "$(signal CONT postgresql)"
}

# Usage: fault <redis or database> <name> <command that breaks> [command that mends, four seconds later]
fault() {
  local mend=()
  [[ $2 = *"$ONLY"* ]] || return 0
  [ -z "${4:-}" ] || mend=(--mend "$4")
  run "$BIN/examples/faults" fault --address "$FIRST" --what "$1" --name "$2" --break "$3" "${mend[@]}" || missed
}

read_your_writes() {
  say ""
  run "$BIN/examples/faults" read-your-writes --address "$FIRST" --address "$SECOND" \
    --break "$(signal KILL redis)" --mend "./scripts/services.sh up --quiet" || missed
}

slow_clients() {
  say ""
  run "$BIN/examples/faults" slow-clients --address "$FIRST" || missed
}

missed() {
  MISSED=1
}

# Usage: signal <signal> <service>: a command that sends it to all of the service's processes, whichever they are then.
signal() {
  printf '. scripts/lib/signal.sh; signal_all %s %s' "$1" "$2"
}

# An error in the log would be a promise broken, whatever the clients were answered.
show_log() {
  local errors
  errors=$(cat "$WORK"/*.log | grep -c ' ERROR ' || true)
  say "errors in the service's log: $errors ($WORK)"
  [ "$errors" = 0 ] || missed
}

# Whatever was frozen must run, or it could not be stopped.
clean_up() {
  stop_children
  if [ -n "${PLANT_SERVICES:-}" ]; then
    bash -c "$(signal CONT redis); signal_all CONT postgresql" || true
  fi
  destroy_own_services
}

main "$@"
