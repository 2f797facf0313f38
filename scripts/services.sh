#!/usr/bin/env bash
# A private PostgreSQL cluster and Redis for this checkout.
#
#   scripts/services.sh up                  install what is missing, start what is not running
#   scripts/services.sh down    [service]…  stop, keep the data
#   scripts/services.sh status  [service]…  what runs where; exit code 3 when one is not running
#   scripts/services.sh env                 DATABASE_URL=… and REDIS_URL=… for `export $(scripts/services.sh env)`
#   scripts/services.sh psql    [argument]… psql as the superuser `postgres` on plant_db
#   scripts/services.sh destroy             stop and delete the data
#   scripts/services.sh lend | give-back    what the other scripts use: the last to give back stops what lend started
#
# A service is `postgresql` or `redis`. `--quiet` keeps everything but errors to itself.
# A service whose URL is already in the environment belongs to somebody else and is left alone.
# PLANT_SERVICES=name means another pair, on other ports: the measuring scripts break or load one of their own.
# Why it is built this way: docs/decisions/0201-private-local-services.md
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
PAIR=${PLANT_SERVICES:+-$PLANT_SERVICES}
POINTER=$ROOT/.plant/services$PAIR
# Not inside the checkout: a Unix socket's path has at most 107 bytes, and another user cannot enter root's home.
FOLDER=/var/tmp/plant-$(printf '%s:%s' "$(id -u)" "$ROOT" | cksum | awk '{ printf "%08x", $1 }')$PAIR
LENT=$FOLDER/lent

# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/postgresql.sh
. "$ROOT/scripts/lib/postgresql.sh"
# shellcheck source=scripts/lib/redis.sh
. "$ROOT/scripts/lib/redis.sh"

main() {
  local verb=${1:-} services=() argument
  [ $# -eq 0 ] || shift
  if [ "$verb" != psql ]; then
    for argument in "$@"; do
      case $argument in
        --quiet) export QUIET=yes ;;
        postgresql | redis) services+=("$argument") ;;
        *) fail "what is '$argument'? See the head of scripts/services.sh" ;;
      esac
    done
    [ ${#services[@]} -gt 0 ] || services=(postgresql redis)
  fi
  case $verb in
    up) locked up_for_good ;;
    lend) locked lend ;;
    give-back) locked give_back ;;
    down) locked down "${services[@]}" ;;
    status) status "${services[@]}" ;;
    env) print_env ;;
    psql) superuser_psql "$@" ;;
    destroy) locked destroy ;;
    *)
      sed -n '2,/^set /{/^# \{0,1\}/s///p;}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
}

up_for_good() {
  up
  rm -f "$LENT"
}

# Notes first which services will only run because a script wanted them, so that nothing is forgotten if it is ended.
lend() {
  local service
  make_folder
  for service in postgresql redis; do
    is_running "$service" || printf '%s\n' "$service" >>"$LENT"
  done
  up
}

give_back() {
  local services=()
  exec 8>>"$BORROWERS"
  if [ -e "$LENT" ] && lock 8 -n; then
    read -r -d '' -a services <"$LENT" || true
    down "${services[@]}"
    rm -f "$LENT"
  fi
}

up() {
  make_folder
  install_missing
  if is_ours postgresql; then
    postgresql_up
    tell_if_outdated DATABASE_URL "$(postgresql_url)"
  fi
  if is_ours redis; then
    redis_up
    tell_if_outdated REDIS_URL "$(redis_url)"
  fi
}

tell_if_outdated() {
  if [ -n "${!1:-}" ] && [ "${!1}" != "$2" ]; then
    say "$1 in your shell is out of date, the port has changed: export \$(scripts/services.sh env)"
  fi
}

down() {
  local service
  for service in "$@"; do
    if is_running "$service"; then
      "${service}_stop"
      say "$service is stopped; its data stays in $FOLDER"
    fi
  done
}

destroy() {
  down postgresql redis
  if [ -e "$FOLDER" ]; then
    check_folder
    rm -rf "$FOLDER"
    say "$FOLDER is gone"
  fi
  rm -f "$POINTER"
}

status() {
  local service missing=0
  for service in "$@"; do
    if ! is_ours "$service"; then
      tell "$service: not ours, its URL is set in the environment"
    elif is_running "$service"; then
      tell "$service: running, pid $("${service}_pid"), 127.0.0.1:$(port_of "$service"), log $("${service}_log")"
    else
      tell "$service: not running"
      missing=3
    fi
  done
  tell "data: $FOLDER"
  return "$missing"
}

tell() {
  say "$*" 2>&1
}

print_env() {
  local database=${DATABASE_URL:-} redis=${REDIS_URL-}
  if is_ours postgresql; then
    database=$(postgresql_url) || fail "no PostgreSQL here yet: run scripts/services.sh up"
  fi
  if is_ours redis; then
    redis=$(redis_url) || fail "no Redis here yet: run scripts/services.sh up"
  fi
  printf 'DATABASE_URL=%s\nREDIS_URL=%s\n' "$(shell_word "$database")" "$(shell_word "$redis")"
}

# As it is when a shell reads nothing into it, so that both `eval` and `export $(…)` work; quoted otherwise.
shell_word() {
  case $1 in
    *[!A-Za-z0-9_./:@%?=+,-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# A URL that this script itself printed earlier does not make the service somebody else's.
is_ours() {
  case $1 in
    postgresql) [ -z "${DATABASE_URL:-}" ] || [ "${DATABASE_URL%:*}" = "$(url="$(postgresql_url)" && echo "${url%:*}")" ] ;;
    redis) [ -z "${REDIS_URL+set}" ] || { [ -n "$REDIS_URL" ] && [ "$REDIS_URL" = "$(redis_url)" ]; } ;;
  esac
}

is_running() {
  local pid
  pid=$("$1_pid")
  [ -n "$pid" ] && works_in "$pid" "$("$1_home")" "$("$1_user")"
}

make_folder() {
  mkdir -p "$ROOT/.plant"
  if ! mkdir -m 711 "$FOLDER" 2>/dev/null; then
    check_folder
  fi
  ln -sfn "$FOLDER" "$POINTER"
}

# Anybody may have made a folder of that name in /var/tmp before us.
check_folder() {
  if [ ! -d "$FOLDER" ] || [ -L "$FOLDER" ] || [ ! -O "$FOLDER" ]; then
    fail "$FOLDER should be a folder of user $(id -un) but is not; please remove it"
  fi
}

install_missing() {
  local packages=()
  if is_ours postgresql && [ -z "$(installed_postgresqls)" ]; then
    packages+=(postgresql)
  fi
  if is_ours redis && ! have redis-server; then
    packages+=(redis-server)
  fi
  if [ ${#packages[@]} -gt 0 ]; then
    install_packages "${packages[@]}"
    hash -r
  fi
}

# The port of the last start; empty before the first.
port_of() {
  cat "$FOLDER/$1.port" 2>/dev/null || true
}

# Usage: start_on_a_free_port <service> <usual port>. Between looking and binding somebody else may take the port.
start_on_a_free_port() {
  local service=$1 usual=$2 port
  if [ -n "$PAIR" ]; then
    usual=$(port_of "$service") # who uses it knows it by this port
    [ -n "$usual" ] || usual=$(($2 + 10000)) # the well-known one is for the checkout's own pair
  fi
  trap '' HUP INT TERM # a server that is half started would be found by nobody
  for port in "$usual" $(port_of "$service") $(seq $((usual + 1)) $((usual + 60))); do
    if ! is_taken "$port"; then
      printf '%s\n' "$port" >"$FOLDER/$service.port"
      if "${service}_start" "$port"; then
        [ "$port" = "$usual" ] || say "$service: port $usual is taken, $port it is"
        trap - HUP INT TERM
        return 0
      fi
      is_taken "$port" || break # it did not fail because of the port
    fi
  done
  tail -n 20 "$("${service}_log")" >&2 || true
  fail "$service does not start, see $("${service}_log"); if its data may go, 'scripts/services.sh destroy' begins anew"
}

main "$@"
