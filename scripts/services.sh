#!/usr/bin/env bash
# Runs a private PostgreSQL cluster and a private Redis for this checkout.
#
#   scripts/services.sh up                  install missing packages and start the services
#   scripts/services.sh down    [service]…  stop; keeps the data
#   scripts/services.sh status  [service]…  show pid, address and log; exit code 3 if one is not running
#   scripts/services.sh env                 print DATABASE_URL=… and REDIS_URL=…, for `export $(scripts/services.sh env)`
#   scripts/services.sh psql    [argument]… run psql as the superuser `postgres` on plant_db
#   scripts/services.sh destroy             stop and delete the data
#   scripts/services.sh acquire | release   for other scripts: the last release stops what acquire started
#
# A service is `postgresql` or `redis`. `--quiet` prints only errors.
# A service whose URL is set in the environment is external and is not managed here.
# PLANT_SERVICES=name selects a separate pair of services on other ports; the benchmark and fault scripts use their own.
# Rationale: docs/decisions/0201-private-local-services.md
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
INSTANCE_SUFFIX=${PLANT_SERVICES:+-$PLANT_SERVICES}
STATE_LINK=$ROOT/.plant/services$INSTANCE_SUFFIX
# Outside the checkout: the path of a Unix socket is limited to 107 bytes, and the server's user cannot access root's home.
STATE_DIRECTORY=/var/tmp/plant-$(printf '%s:%s' "$(id -u)" "$ROOT" | cksum | awk '{ printf "%08x", $1 }')$INSTANCE_SUFFIX
ON_DEMAND_FILE=$STATE_DIRECTORY/on-demand

# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/postgresql.sh
. "$ROOT/scripts/lib/postgresql.sh"
# shellcheck source=scripts/lib/redis.sh
. "$ROOT/scripts/lib/redis.sh"

main() {
  local command=${1:-} services=() argument
  [ $# -eq 0 ] || shift
  if [ "$command" != psql ]; then
    for argument in "$@"; do
      case $argument in
        --quiet) export QUIET=yes ;;
        postgresql | redis) services+=("$argument") ;;
        *) fail "unknown argument '$argument'; see the usage at the top of scripts/services.sh" ;;
      esac
    done
    [ ${#services[@]} -gt 0 ] || services=(postgresql redis)
  fi
  case $command in
    up) with_lock up_and_keep_running ;;
    acquire) with_lock acquire ;;
    release) with_lock release ;;
    down) with_lock down "${services[@]}" ;;
    status) status "${services[@]}" ;;
    env) print_env ;;
    psql) superuser_psql "$@" ;;
    destroy) with_lock destroy ;;
    *)
      sed -n '2,/^set /{/^# \{0,1\}/s///p;}' "${BASH_SOURCE[0]}" >&2
      exit 2
      ;;
  esac
}

up_and_keep_running() {
  up
  rm -f "$ON_DEMAND_FILE"
}

# Records the services that only scripts need before starting them, so that they are stopped even if a script is killed.
acquire() {
  local service
  create_state_directory
  for service in postgresql redis; do
    is_running "$service" || printf '%s\n' "$service" >>"$ON_DEMAND_FILE"
  done
  up
}

release() {
  local services=()
  exec 8>>"$USERS_LOCK"
  if [ -e "$ON_DEMAND_FILE" ] && lock 8 -n; then
    read -r -d '' -a services <"$ON_DEMAND_FILE" || true
    down "${services[@]}"
    rm -f "$ON_DEMAND_FILE"
  fi
}

up() {
  create_state_directory
  install_missing
  if is_managed postgresql; then
    postgresql_up
    warn_if_outdated DATABASE_URL "$(postgresql_url)"
  fi
  if is_managed redis; then
    redis_up
    warn_if_outdated REDIS_URL "$(redis_url)"
  fi
}

warn_if_outdated() {
  if [ -n "${!1:-}" ] && [ "${!1}" != "$2" ]; then
    log "$1 in your shell is out of date; run: export \$(scripts/services.sh env)"
  fi
}

down() {
  local service
  for service in "$@"; do
    if is_running "$service"; then
      "${service}_stop"
      log "$service: stopped; data kept in $STATE_DIRECTORY"
    fi
  done
}

destroy() {
  down postgresql redis
  if [ -e "$STATE_DIRECTORY" ]; then
    check_state_directory
    rm -rf "$STATE_DIRECTORY"
    log "deleted $STATE_DIRECTORY"
  fi
  rm -f "$STATE_LINK"
}

status() {
  local service exit_code=0
  for service in "$@"; do
    if ! is_managed "$service"; then
      print_status "$service: external, its URL is set in the environment"
    elif is_running "$service"; then
      print_status "$service: running, pid $("${service}_pid"), 127.0.0.1:$(port_of "$service"), log $("${service}_log")"
    else
      print_status "$service: not running"
      exit_code=3
    fi
  done
  print_status "data: $STATE_DIRECTORY"
  return "$exit_code"
}

# Like log, but to standard output.
print_status() {
  log "$*" 2>&1
}

print_env() {
  local database=${DATABASE_URL:-} redis=${REDIS_URL-}
  if is_managed postgresql; then
    database=$(postgresql_url) || fail "PostgreSQL is not set up; run scripts/services.sh up"
  fi
  if is_managed redis; then
    redis=$(redis_url) || fail "Redis is not set up; run scripts/services.sh up"
  fi
  printf 'DATABASE_URL=%s\nREDIS_URL=%s\n' "$(shell_quote "$database")" "$(shell_quote "$redis")"
}

# Prints a word, quoted only if it contains special characters: both `eval` and `export $(…)` must work.
shell_quote() {
  case $1 in
    *[!A-Za-z0-9_./:@%?=+,-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# Whether this script manages the service: its URL is unset, or is the one that this script prints.
is_managed() {
  case $1 in
    postgresql) [ -z "${DATABASE_URL:-}" ] || [ "${DATABASE_URL%:*}" = "$(url="$(postgresql_url)" && echo "${url%:*}")" ] ;;
    redis) [ -z "${REDIS_URL+set}" ] || { [ -n "$REDIS_URL" ] && [ "$REDIS_URL" = "$(redis_url)" ]; } ;;
  esac
}

is_running() {
  local pid
  pid=$("$1_pid")
  [ -n "$pid" ] && has_working_directory "$pid" "$("$1_home")" "$("$1_user")"
}

create_state_directory() {
  mkdir -p "$ROOT/.plant"
  if ! mkdir -m 711 "$STATE_DIRECTORY" 2>/dev/null; then
    check_state_directory
  fi
  ln -sfn "$STATE_DIRECTORY" "$STATE_LINK"
}

# Any local user may have created a directory with this name in /var/tmp.
check_state_directory() {
  if [ ! -d "$STATE_DIRECTORY" ] || [ -L "$STATE_DIRECTORY" ] || [ ! -O "$STATE_DIRECTORY" ]; then
    fail "$STATE_DIRECTORY is not a directory owned by $(id -un); remove it and run this again"
  fi
}

install_missing() {
  local packages=()
  if is_managed postgresql && [ -z "$(postgresql_bin_directories)" ]; then
    packages+=(postgresql)
  fi
  if is_managed redis && ! command_exists redis-server; then
    packages+=(redis-server)
  fi
  if [ ${#packages[@]} -gt 0 ]; then
    install_packages "${packages[@]}"
    hash -r
  fi
}

# Prints the port of the last start; nothing before the first.
port_of() {
  cat "$STATE_DIRECTORY/$1.port" 2>/dev/null || true
}

# Usage: start_on_free_port <service> <default port>. Retries if another process binds the port after the check.
start_on_free_port() {
  local service=$1 default_port=$2 port
  if [ -n "$INSTANCE_SUFFIX" ]; then
    default_port=$(port_of "$service") # clients have the URL with this port
    [ -n "$default_port" ] || default_port=$(($2 + 10000)) # the standard port is for the default pair
  fi
  trap '' HUP INT TERM # an interrupted start would leave a server without a pid file
  for port in "$default_port" $(port_of "$service") $(seq $((default_port + 1)) $((default_port + 60))); do
    if ! is_port_in_use "$port"; then
      printf '%s\n' "$port" >"$STATE_DIRECTORY/$service.port"
      if "${service}_start" "$port"; then
        [ "$port" = "$default_port" ] || log "$service: port $default_port is in use; using port $port"
        trap - HUP INT TERM
        return 0
      fi
      is_port_in_use "$port" || break # the port is not the reason of the failure
    fi
  done
  tail -n 20 "$("${service}_log")" >&2 || true
  fail "$service did not start; see $("${service}_log"). To start with empty data, run 'scripts/services.sh destroy' first"
}

main "$@"
