#!/usr/bin/env bash
# Replaces the running version of the service by another one behind a load balancer, without errors.
#
#   scripts/upgrade.sh up      starts the load balancer, and one version behind it
#   scripts/upgrade.sh         replaces the running version: migrates the database, starts the new version, moves 10, 50 and
#                              100 % of the traffic to it, and stops the old one
#   scripts/upgrade.sh shift   moves the traffic only, between versions that are started and stopped by other means
#   scripts/upgrade.sh status  shows both servers
#   scripts/upgrade.sh down    stops everything
#
#   --bin DIR          folder of the version's plant-api [default: PLANT_UPGRADE_BIN, else the newest build]
#   --overlap 5m       how long both versions run before the old one is stopped; a third of it for each share
#   --time-scale 0.1   factor for the overlap [default: LOAD_TEST_TIME_SCALE, else 1]
#   --port 8100        port of the load balancer, with `up`; the next three are used as well
#
# If the new version does not become ready, stops, or fails more often than the old one, the traffic goes back to the old one,
# and the exit code is 1. So it does after a signal. If the script is killed, both versions remain and serve; the next run
# begins by going back to the old one. Settings of the service are taken from the environment; without DATABASE_URL the
# database of this checkout is used. PLANT_UPGRADE=name selects a separate pair of versions; other scripts use their own. `shift` needs PLANT_LB_SOCKET, the address of the runtime API of HAProxy.
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

WORK=.plant/upgrade${PLANT_UPGRADE:+-$PLANT_UPGRADE} # relative, because the path of a Unix socket is limited to 107 bytes
BIN=${PLANT_UPGRADE_BIN:-}
OVERLAP=5m
TIME_SCALE=${LOAD_TEST_TIME_SCALE:-1}
PORT=8100
EXTERNAL=        # whether other means start and stop the versions
PHASE=serving    # serving; started: the new version runs; committed: the old version is no longer needed
MIN_FAILURES=5   # fewer failures of the new version are chance
MAX_EXCESS=0.01  # by how much the new version may fail more often than the old one

main() {
  local command=replace
  case ${1:-} in
    up | shift | status | down)
      command=$1
      shift
      ;;
  esac
  while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || fail "'$1' needs a value; see the usage at the top of scripts/upgrade.sh"
    case $1 in
      --bin) BIN=$(cd "$2" && pwd -P) ;;
      --overlap) OVERLAP=$2 ;;
      --time-scale) TIME_SCALE=$2 ;;
      --port) PORT=$2 ;;
      *) fail "unknown argument '$1'; see the usage at the top of scripts/upgrade.sh" ;;
    esac
    shift 2
  done
  OVERLAP_S=$(scaled_seconds "$OVERLAP" "$TIME_SCALE")
  cd "$ROOT"
  mkdir -p "$WORK"
  if [ "$command" = shift ]; then
    EXTERNAL=yes
    : "${PLANT_LB_SOCKET:?set PLANT_LB_SOCKET, the address of the runtime API of HAProxy}"
  else
    PORT=$(cat "$WORK/port" 2>/dev/null || printf '%s\n' "$PORT")
    PLANT_LB_SOCKET=unix@$WORK/admin.sock
    PLANT_LB_STATE=$WORK/haproxy.state
  fi
  if [ "$command" = status ]; then
    status
    return
  fi
  exec 8>>"$WORK/lock"
  lock 8 -n || fail "another upgrade is in progress in this checkout"
  at_exit go_back
  case $command in
    shift) shift_traffic ;;
    *) "$command" ;;
  esac
}

# Usage: scaled_seconds <30s, 5m, 1h or seconds> <factor>
scaled_seconds() {
  local number=${1%[smh]} unit=1
  case $1 in
    *m) unit=60 ;;
    *h) unit=3600 ;;
  esac
  [[ $number =~ ^[0-9]+$ && $2 =~ ^[0-9]*[.]?[0-9]+$ ]] || fail "'$1' or '$2' is no duration and factor such as 5m and 0.1"
  awk -v seconds="$((number * unit))" -v factor="$2" 'BEGIN { printf "%.3f\n", seconds * factor }'
}

up() {
  find_version
  connect_services
  if load_balancer_responds; then
    fail "the load balancer is running already, on port $PORT; 'scripts/upgrade.sh' replaces the version behind it"
  fi
  command_exists haproxy || install_packages haproxy
  printf '%s\n' "$PORT" >"$WORK/port"
  CURRENT=$(cat "$WORK/current" 2>/dev/null || echo blue)
  if ! is_running "$CURRENT"; then
    migrate
    start_version "$CURRENT"
    printf '%s\n' "$CURRENT" >"$WORK/current"
  fi
  start_lb
  wait_until 10 is_up "$CURRENT" || fail "the load balancer cannot reach the service; see $WORK/haproxy.log"
  set_weights "$CURRENT" 100 "$(other "$CURRENT")" 0
  log "load balancer: http://127.0.0.1:$PORT, its metrics: http://127.0.0.1:$((PORT + 3))/metrics"
}

replace() {
  find_version
  connect_services
  load_balancer_responds || fail "no load balancer is running; start it with 'scripts/upgrade.sh up'"
  find_current
  migrate
  PHASE=started
  start_version "$NEXT"
  wait_until 10 is_up "$NEXT" || fail "the load balancer cannot reach the new version; see $WORK/haproxy.log"
  move_traffic
  printf '%s\n' "$NEXT" >"$WORK/current"
  PHASE=committed
  stop_version "$CURRENT"
  PHASE=serving
  log "the new version serves ($NEXT): $RESULT"
}

# The traffic goes from the server that has it to the other one.
shift_traffic() {
  if [ "$(weight_of blue)" -ge "$(weight_of green)" ]; then CURRENT=blue; else CURRENT=green; fi
  NEXT=$(other "$CURRENT")
  is_up "$NEXT" || fail "$NEXT is not ready; start the new version there first"
  PHASE=started
  move_traffic
  PHASE=serving
  log "$NEXT has all traffic; $CURRENT can be stopped"
}

# Determines CURRENT, the slot of the running version, and NEXT, and ends an upgrade that was killed.
find_current() {
  CURRENT=$(cat "$WORK/current")
  NEXT=$(other "$CURRENT")
  if ! is_up "$CURRENT"; then
    is_up "$NEXT" || fail "no version is running; see 'scripts/upgrade.sh status'"
    CURRENT=$NEXT
    NEXT=$(other "$CURRENT")
    printf '%s\n' "$CURRENT" >"$WORK/current"
  fi
  if is_running "$NEXT" || [ "$(weight_of "$NEXT")" != 0 ]; then
    log "an earlier upgrade was killed: back to $CURRENT"
    set_weights "$CURRENT" 100 "$NEXT" 0
    stop_version "$NEXT"
  fi
}

# Moves the traffic in three steps, each a third of the overlap.
move_traffic() {
  local share
  read -r _ _ CURRENT_RESPONSES CURRENT_FAILED < <(server_statistics "$CURRENT")
  read -r _ _ NEXT_RESPONSES NEXT_FAILED < <(server_statistics "$NEXT")
  for share in 10 50 100; do
    set_weights "$NEXT" "$share" "$CURRENT" "$((100 - share))"
    observe "$share"
  done
}

# Usage: observe <share>. Compares both versions for a third of the overlap; fails if the new one is worse.
observe() {
  local end reason
  end=$(awk -v now="$(seconds_now)" -v overlap="$OVERLAP_S" 'BEGIN { printf "%.3f", now + overlap / 3 }')
  while :; do
    reason=$(problem_of_next)
    [ -z "$reason" ] || fail "$reason; back to the old version"
    awk -v now="$(seconds_now)" -v end="$end" 'BEGIN { exit !(now < end) }' || break
    sleep 0.2
  done
  RESULT=$(shares)
  log "$1 % of the traffic: $RESULT"
}

seconds_now() {
  date +%s.%N | sed 's/[.]N$/.0/' # macOS has no nanoseconds
}

# Prints why the new version must not have traffic; nothing if it may.
problem_of_next() {
  local state responses failed old_responses old_failed
  read -r state _ responses failed < <(server_statistics "$NEXT")
  read -r _ _ old_responses old_failed < <(server_statistics "$CURRENT")
  if [ "${state:-}" != UP ] || ! is_alive_version "$NEXT"; then
    printf 'the new version is not ready any more (%s)\n' "${state:-unknown}"
    return
  fi
  awk -v responses=$((responses - NEXT_RESPONSES)) -v failed=$((failed - NEXT_FAILED)) -v min="$MIN_FAILURES" \
    -v old_responses=$((old_responses - CURRENT_RESPONSES)) -v old_failed=$((old_failed - CURRENT_FAILED)) -v max="$MAX_EXCESS" '
    BEGIN {
      rate = failed / (responses + failed ? responses + failed : 1)
      old_rate = old_failed / (old_responses + old_failed ? old_responses + old_failed : 1)
      if (failed >= min && rate > old_rate + max)
        printf "%d of %d responses of the new version failed, %d of %d of the old one\n", failed, responses, old_failed, old_responses
    }'
}

# Prints the responses of both versions since the begin of the overlap.
shares() {
  local responses failed old_responses old_failed
  read -r _ _ responses failed < <(server_statistics "$NEXT")
  read -r _ _ old_responses old_failed < <(server_statistics "$CURRENT")
  printf 'new version %d responses, %d failed; old version %d, %d failed\n' $((responses - NEXT_RESPONSES)) \
    $((failed - NEXT_FAILED)) $((old_responses - CURRENT_RESPONSES)) $((old_failed - CURRENT_FAILED))
}

# At exit: leaves one version with all traffic.
go_back() {
  case $PHASE in
    started)
      log "back to the old version ($CURRENT)"
      set_weights "$CURRENT" 100 "$NEXT" 0 || true
      stop_version "$NEXT"
      ;;
    committed) stop_version "$CURRENT" ;;
  esac
}

# Gives up quickly if it cannot get its locks, because all requests would wait behind it, and tries again.
migrate() {
  local url=$DATABASE_URL attempt
  case $url in
    *\?*) url+='&options[lock_timeout]=3s' ;;
    *) url+='?options[lock_timeout]=3s' ;;
  esac
  for attempt in 1 2 3 4 5; do
    if DATABASE_URL=$url "$BIN/plant-api" migrate >"$WORK/migrate.log" 2>&1; then
      return
    fi
    if grep -q 'was previously applied but is missing' "$WORK/migrate.log"; then
      log "the database has newer migrations than this version, which needs none"
      return
    fi
    log "migration failed (attempt $attempt of 5): $(tail -n 1 "$WORK/migrate.log")"
    sleep 2
  done
  fail "the migration failed, the old version serves; see $WORK/migrate.log"
}

# Usage: start_version <slot>. Starts the version in BIN, so that it outlives this script, and waits until it is ready.
start_version() {
  local port
  port=$(port_of "$1")
  set -m
  # As one client, the load balancer may open all connections.
  PLANT_LISTEN=127.0.0.1:$port LOG_FILE=${LOG_FILE:-} \
    PLANT_CONNECTIONS_PER_ADDRESS=${PLANT_CONNECTIONS_PER_ADDRESS:-${PLANT_MAX_CONNECTIONS:-8192}} \
    nohup "$BIN/plant-api" serve </dev/null >"$WORK/$1.log" 2>&1 8>&- &
  set +m
  printf '%s\n' "$!" >"$WORK/$1.pid"
  wait_until_ready "$!" "$port" "$WORK/$1.log"
  log "$1: $BIN/plant-api is ready on port $port (pid $(cat "$WORK/$1.pid"))"
}

# Usage: stop_version <slot>. Stops it when its requests have ended.
stop_version() {
  local pid
  [ -z "$EXTERNAL" ] && is_running "$1" || return 0
  pid=$(cat "$WORK/$1.pid")
  wait_until 15 is_idle "$1" || log "$1: stopping it with requests in progress"
  kill "$pid" 2>/dev/null || true
  wait_for_exit "$pid" 30 || kill -KILL "$pid" 2>/dev/null || true
  rm -f "$WORK/$1.pid"
}

is_running() {
  local pid
  pid=$(cat "$WORK/$1.pid" 2>/dev/null) && is_alive "$pid" && has_working_directory "$pid" "$ROOT" "$(id -un)"
}

is_alive_version() {
  [ -n "$EXTERNAL" ] || is_running "$1"
}

start_lb() {
  PLANT_LB_LISTEN=127.0.0.1:$PORT PLANT_LB_STATS=127.0.0.1:$((PORT + 3)) PLANT_LB_SOCKET=$PLANT_LB_SOCKET \
    PLANT_LB_STATE=$PLANT_LB_STATE PLANT_LB_BLUE=127.0.0.1:$(port_of blue) PLANT_LB_GREEN=127.0.0.1:$(port_of green) \
    nohup haproxy -W -f deploy/haproxy/haproxy.cfg -p "$WORK/haproxy.pid" </dev/null >"$WORK/haproxy.log" 2>&1 8>&- &
  wait_until 5 load_balancer_responds || fail "the load balancer did not start; see $WORK/haproxy.log"
}

status() {
  local slot
  load_balancer_responds || fail "no load balancer is running"
  for slot in blue green; do
    server_statistics "$slot" | awk -v slot="$slot" -v weight="$(weight_of "$slot")" -v pid="$(cat "$WORK/$slot.pid" 2>/dev/null)" \
      '{ printf "%s: %s, weight %d, pid %s, %d requests in progress, %d responses, %d failed\n", slot, $1, weight, pid ? pid : "-", $2, $3, $4 }'
  done
}

down() {
  local pid
  if load_balancer_responds; then
    pid=$(head -n 1 "$WORK/haproxy.pid")
    kill "$pid"
    wait_for_exit "$pid" 10 || kill -KILL "$pid"
  fi
  for slot in blue green; do
    if is_running "$slot"; then
      pid=$(cat "$WORK/$slot.pid")
      kill "$pid"
      wait_for_exit "$pid" 30 || kill -KILL "$pid"
    fi
  done
  rm -f "$WORK"/{port,current,haproxy.state,haproxy.pid,admin.sock,blue.pid,green.pid}
}

other() {
  if [ "$1" = blue ]; then echo green; else echo blue; fi
}

port_of() {
  if [ "$1" = blue ]; then echo $((PORT + 1)); else echo $((PORT + 2)); fi
}

connect_services() {
  local urls
  if [ -z "${DATABASE_URL:-}" ]; then
    ./scripts/services.sh up --quiet 8>&-
    urls=$(./scripts/services.sh env)
    eval "$urls"
  fi
  export DATABASE_URL REDIS_URL
}

main "$@"
