#!/usr/bin/env bash
# Kills the service, a worker, Redis and PostgreSQL at random moments while clients write. Then compares every
# acknowledged write with the database.
#
#   scripts/chaos.sh [--kills=50] [--seed=42]     the run and a control run; prints a table
#   scripts/chaos.sh --without-redis              the same, with Redis disabled
#   scripts/chaos.sh --replicas                   the same, with two replicas of the service behind HAProxy, and two workers
#
# The control run has durability disabled: PostgreSQL acknowledges commits before they are on disk. It must lose
# acknowledged writes, and the script fails unless the loss is detected.
# The script starts its own PostgreSQL, Redis, service and worker, and deletes them afterwards.
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

WORK=.plant/chaos
KILLS=50
SEED=42
REDIS=yes
REPLICAS=
VIOLATED=0

main() {
  local argument
  cd "$ROOT"
  for argument in "$@"; do
    case $argument in
      --kills=*) KILLS=${argument#*=} ;;
      --seed=*) SEED=${argument#*=} ;;
      --without-redis) REDIS= ;;
      --replicas) REPLICAS=yes ;;
      *) fail "unknown argument '$argument'; see the usage at the top of scripts/chaos.sh" ;;
    esac
  done
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  build_release --bins --example faults
  cat <<'HEAD'
| durability | kills | acknowledged | retried | lost | duplicated | unfinished | ledger | jobs retried | jobs reclaimed | all finished after |
|---|---|---:|---:|---:|---:|---:|---:|---:|---|---:|
HEAD
  set_up_database
  run_chaos --kills="$KILLS" --name="$([ -n "$REDIS" ] && echo 'enabled' || echo 'enabled, no Redis')"
  set_up_database
  disable_durability
  run_chaos --kills=12 --only-postgresql --name="disabled" --expect-loss
  check_logs
  return "$VIOLATED"
}

# Creates a new database for each run, so that the control run cannot find rows of the first one.
set_up_database() {
  [ -z "${PLANT_SERVICES:-}" ] || destroy_dedicated_services
  start_dedicated_services chaos
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=20 --skills=10 >/dev/null
}

# Delays WAL writes, so that a killed server loses commits that it has acknowledged.
disable_durability() {
  ./scripts/services.sh psql -q -X -v ON_ERROR_STOP=1 <<'SQL'
alter system set synchronous_commit = off;
alter system set wal_writer_delay = '10s';
alter system set wal_writer_flush_after = '1GB';
alter system set bgwriter_lru_maxpages = 0;
select pg_reload_conf() \g /dev/null
SQL
}

# Usage: run_chaos <argument of `faults chaos`>…
run_chaos() {
  local desk_port redis=$REDIS_URL service=()
  service=(--address "127.0.0.1:$(free_port 18400)")
  if [ -n "$REPLICAS" ]; then
    service+=(--address "127.0.0.1:$(free_port 18450)" --workers 2)
    start_load_balancer "$WORK" "${service[1]}" "${service[3]}"
    service+=(--through "$BALANCED")
  fi
  desk_port=$(free_port 18500)
  [ -n "$REDIS" ] || redis=
  run env REDIS_URL="$redis" PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= LOG_LEVEL=info \
    "$BIN/examples/faults" chaos --program "$BIN/plant-api" "${service[@]}" --desk-address "127.0.0.1:$desk_port" \
    --logs "$WORK" --seed "$SEED" \
    --kill-redis "$(signal_command KILL redis)" --empty-redis "redis-cli -u $REDIS_URL flushall >/dev/null" \
    --kill-postgresql "$(signal_command KILL postgresql)" --stop-postgresql "./scripts/services.sh down --quiet postgresql" \
    --start-services "$(start_services_command)" "$@" || VIOLATED=1
  [ -z "$REPLICAS" ] || stop_load_balancer >&2 || VIOLATED=1
}

# Prints a command that starts this script's PostgreSQL and Redis. With their URLs in the environment, services.sh would
# treat them as external.
start_services_command() {
  printf 'env -u DATABASE_URL -u REDIS_URL ./scripts/services.sh up --quiet'
}

# Usage: signal_command <signal> <service>: prints a command that signals all processes that the service then has.
signal_command() {
  printf '. scripts/lib/signal.sh; signal_all %s %s' "$1" "$2"
}

# An error in a log violates the threshold of 0 errors, whatever responses the clients got.
check_logs() {
  local errors
  errors=$(cat "$WORK"/*.log | grep -c ' ERROR ' || true)
  log "errors in the programs' logs: $errors ($WORK)"
  [ "$errors" = 0 ] || VIOLATED=1
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
