# shellcheck shell=bash
# Signals to a pair's servers, for scripts/faults.sh. Sourced in the checkout's folder, never run.

# Usage: signal_all <signal> <postgresql or redis>: to the server and to the processes that it began.
signal_all() {
  local folder=.plant/services-${PLANT_SERVICES:?} parent
  case $2 in
    postgresql) parent=$(head -n 1 "$folder/postgresql/data/postmaster.pid") ;;
    redis) parent=$(cat "$folder/redis/redis.pid") ;;
  esac
  # The parent first, so that it begins no others meanwhile; a process that ended in between is no fault.
  kill -s "$1" "$parent"
  children_of "$parent" | while read -r child; do
    kill -s "$1" "$child" 2>/dev/null || true
  done
}

children_of() {
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" '{ pid = $1; sub(/^.*\) /, ""); if ($2 == parent) print pid }'
}
