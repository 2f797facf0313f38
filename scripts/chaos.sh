#!/usr/bin/env bash
# What survives when everything is killed: writers write, while the service, a worker, Redis and PostgreSQL are killed
# at random moments. Then every write that was acknowledged is compared with what is there.
#
#   scripts/chaos.sh [--kills=50] [--seed=42]     the table, and below it the control
#   scripts/chaos.sh --without-redis              the same with no Redis from the start
#
# The control is the same with durability broken on purpose: PostgreSQL says that a commit is safe before it is on disk.
# Acknowledged writes are lost then, and the run fails unless that is found.
# Everything killed is this script's own: a PostgreSQL, a Redis, a service and a worker, ended and deleted afterwards.
# Exits with 1 when a promise was not kept. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/chaos
KILLS=50
SEED=42
REDIS=yes
MISSED=0

main() {
  local argument
  cd "$ROOT"
  for argument in "$@"; do
    case $argument in
      --kills=*) KILLS=${argument#*=} ;;
      --seed=*) SEED=${argument#*=} ;;
      --without-redis) REDIS= ;;
      *) fail "what is '$argument'? See the head of scripts/chaos.sh" ;;
    esac
  done
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  [ -n "${BIN:-}" ] || build_release --bins --example faults
  cat <<'HEAD'
| durability | kills | acknowledged | sent again | lost | done twice | not ended | jobs tried again | picked up from the dead | all ended after |
|---|---|---:|---:|---:|---:|---:|---:|---|---:|
HEAD
  prepare
  chaos --kills="$KILLS" --name="$([ -n "$REDIS" ] && echo 'as it is' || echo 'as it is, no Redis')"
  prepare
  break_durability
  chaos --kills=12 --only-postgresql --name="broken on purpose" --expect-loss
  show_log
  return "$MISSED"
}

# A new database each time: what the control loses must not be there before.
prepare() {
  [ -z "${PLANT_SERVICES:-}" ] || destroy_own_services
  own_services chaos
  run "$BIN/plant-api" migrate >/dev/null
  run "$BIN/seed_test_data" --agents=20 --skills=10 >/dev/null
}

# Commits are acknowledged before they are written, a page or so later; what is not yet dies with the server.
break_durability() {
  ./scripts/services.sh psql -q -X -v ON_ERROR_STOP=1 <<'SQL'
alter system set synchronous_commit = off;
alter system set wal_writer_delay = '10s';
alter system set wal_writer_flush_after = '1GB';
alter system set bgwriter_lru_maxpages = 0;
select pg_reload_conf() \g /dev/null
SQL
}

# Usage: chaos <argument of `faults chaos`>…
chaos() {
  local port redis=$REDIS_URL
  port=$(free_port 18400)
  [ -n "$REDIS" ] || redis=
  run env REDIS_URL="$redis" PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= LOG_LEVEL=info \
    "$BIN/examples/faults" chaos --program "$BIN/plant-api" --address "127.0.0.1:$port" --logs "$WORK" --seed "$SEED" \
    --kill-redis "$(signal KILL redis)" --empty-redis "redis-cli -u $REDIS_URL flushall >/dev/null" \
    --kill-postgresql "$(signal KILL postgresql)" --stop-postgresql "./scripts/services.sh down --quiet postgresql" \
    --start-services "$(start_services)" "$@" || MISSED=1
}

# The URLs in the environment belong to this pair, so they name nobody else's.
start_services() {
  printf 'env -u DATABASE_URL -u REDIS_URL ./scripts/services.sh up --quiet'
}

# Usage: signal <signal> <service>: a command that sends it to all of the service's processes, whichever they are then.
signal() {
  printf '. scripts/lib/signal.sh; signal_all %s %s' "$1" "$2"
}

# An error in the log would be a promise broken, whatever the clients were answered.
show_log() {
  local errors
  errors=$(cat "$WORK"/*.log | grep -c ' ERROR ' || true)
  say "errors in the programs' logs: $errors ($WORK)"
  [ "$errors" = 0 ] || MISSED=1
}

clean_up() {
  stop_children
  destroy_own_services
}

main "$@"
