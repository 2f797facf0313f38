# shellcheck shell=bash
# Measures requests with wrk. Sourced after processes.sh by scripts that set WORK, CONNECTIONS and SECONDS_EACH.

# Usage: measure_wrk <pid or -> <wrk argument>… Sets RESULT to requests/s, P50 ms, P99 ms, CPU µs of the process per
# request, and failed requests. The Lua script among the arguments loads result.lua.
measure_wrk() {
  local pid=$1 before=0 after=0 result
  shift
  [ "$pid" = - ] || before=$(cpu_ticks "$pid")
  run wrk -t 2 -c "$CONNECTIONS" -d "${SECONDS_EACH}s" "$@" >"$WORK/wrk.out"
  [ "$pid" = - ] || after=$(cpu_ticks "$pid")
  result=$(sed -n 's/^RESULT //p' "$WORK/wrk.out")
  [ -n "$result" ] || fail "wrk printed no result; see $WORK/wrk.out"
  RESULT=$(awk -v ticks=$((after - before)) -v hertz="$(getconf CLK_TCK)" \
    '{ print $1, $2, $3, $4 ? ticks / hertz * 1e6 / $4 : 0, $5 }' <<<"$result")
}

# Usage: cpu_ticks <pid>: user and system time in clock ticks.
cpu_ticks() {
  sed 's/^.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
