# shellcheck shell=bash
# Signals for the servers of PLANT_SERVICES. Sourced by commands of faults.sh and chaos.sh in the root of the checkout.

# Usage: signal_all <signal> <postgresql or redis>. Signals the server and its child processes.
signal_all() {
  local directory=.plant/services-${PLANT_SERVICES:?} parent
  case $2 in
    postgresql) parent=$(head -n 1 "$directory/postgresql/data/postmaster.pid") ;;
    redis) parent=$(cat "$directory/redis/redis.pid") ;;
  esac
  # The parent first, so that it starts no further children; a child may have exited by then.
  kill -s "$1" "$parent"
  children_of "$parent" | while read -r child; do
    kill -s "$1" "$child" 2>/dev/null || true
  done
}

children_of() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '{ pid = $1; sub(/^.*\) /, ""); if ($2 == parent) print pid }'
}
