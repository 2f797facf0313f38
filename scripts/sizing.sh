#!/usr/bin/env bash
# Measures what one machine carries, for the capacity table of docs/operations.md. Prints Markdown. Linux only.
#
#   scripts/sizing.sh [part]…    parts: rates (the customers' journey at fixed rates, 90 s), capacity (its highest rate, 2 min),
#                                tickets (enhanced per second, 30 s), logins (per second, 30 s); default: all
#
# Starts its own PostgreSQL, Redis and service with the default settings (100 agents, 50 skills), and stops them at the end.
# Load generator, service, PostgreSQL and Redis share the machine. PLANT_BIN=DIRECTORY measures programs that are built already.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=.plant/sizing
RATES='500 1000 1500 2000'
STEADY=15 # seconds of each rate; its warm-up is an eighth of that
TICKETS=1000
LOGIN_SECONDS=15

main() {
  cd "$ROOT"
  mkdir -p "$WORK"
  at_exit clean_up
  if [ -n "${PLANT_BIN:-}" ]; then BIN=$PLANT_BIN; else build_release --bins; fi
  start_dedicated_services sizing
  run "$BIN/plant-api" migrate >"$WORK/setup.log" 2>&1
  run "$BIN/seed_test_data" --agents=100 --skills=50 >>"$WORK/setup.log" 2>&1
  PORT=$(free_port 18300)
  HOST=http://127.0.0.1:$PORT
  start_service "$PORT" "$WORK/service.log"
  local part
  [ $# -gt 0 ] || set -- rates capacity tickets logins
  for part in "$@"; do
    case $part in
      rates | capacity | tickets | logins) "measure_$part" ;;
      *) fail "unknown part '$part'; see the usage at the top of scripts/sizing.sh" ;;
    esac
  done
}

measure_rates() {
  local rate
  printf '\n| arrivals/s | verdict | P50 ms | P95 ms | P99 ms | service µs | PostgreSQL µs | Redis µs | generator µs | memory MiB | connections |\n'
  printf '|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n'
  for rate in $RATES; do measure_rate "$rate"; done
}

# CPU times are those of all processes of a kind during the run, per request.
measure_rate() {
  local out=$WORK/rate-$1.txt before after
  log "$1 arrivals/s; CPU use of other processes: $(busy_percent) %"
  before=$(cpu_times)
  run "$BIN/plant-loadtest" run demo --host "$HOST" --rate "$1" -u 400 --time-scale "$(awk "BEGIN { print $STEADY / 40 }")" \
    --quiet --no-color --json "$WORK/rate-$1.json" --html "$WORK/rate-$1.html" >"$out" 2>&1 || true
  after=$(cpu_times)
  awk -v rate="$1" -v before="$before" -v after="$after" -v hertz="$(getconf CLK_TCK)" '
    NR == 1 { verdict = $1; sub(":", "", verdict) }
    /^Whole run:/ { sent = $3 }
    /^Latency, all endpoints/ { for (i = 1; i < NF; i++) if ($i ~ /^P[0-9]/) latency[$i] = $(i + 1) " " $(i + 2) }
    /^ service memory/ { memory = $(NF - 1) }
    /^ database connections/ { connections = $NF }
    function ms(text,    part) {
      split(text, part, " ")
      return part[2] == "s" ? part[1] * 1000 : part[1]
    }
    END {
      split(before, b, " "); split(after, a, " ")
      printf "| %d | %s | %s | %s | %s |", rate, verdict, ms(latency["P50"]), ms(latency["P95"]), ms(latency["P99"])
      for (i = 1; i <= 4; i++) printf " %.0f |", (a[i] - b[i]) / hertz * 1e6 / sent
      printf " %s | %s |\n", memory, connections
    }' "$out"
}

# Prints the CPU ticks so far of the service, PostgreSQL, Redis and the children of this script that have ended.
cpu_times() {
  local state=$ROOT/.plant/services-sizing postmaster child postgresql
  postmaster=$(head -n 1 "$state/postgresql/data/postmaster.pid")
  postgresql=$(ticks "$postmaster" ended-children)
  for child in $(ps -o pid= --ppid "$postmaster"); do postgresql=$((postgresql + $(ticks "$child" 2>/dev/null || echo 0))); done
  printf '%s %s %s %s\n' "$(ticks "$SERVICE")" "$postgresql" "$(ticks "$(cat "$state/redis/redis.pid")")" \
    "$(($(ticks $$ ended-children) - $(ticks $$)))"
}

# Usage: ticks <pid> [ended-children]. Prints user and system time, with that of children that have ended if asked for.
ticks() {
  sed 's/^.*) //' "/proc/$1/stat" | awk -v children="${2:+1}" '{ print $12 + $13 + (children ? $14 + $15 : 0) }'
}

measure_capacity() {
  log "capacity; CPU use of other processes: $(busy_percent) %"
  run "$BIN/plant-loadtest" capacity demo --host "$HOST" --from 1000 --step 8s --within 15 -u 400 --html "$WORK/capacity.html" \
    >"$WORK/capacity.txt" 2>&1 || true
  printf '\n```\n'
  cat "$WORK/capacity.txt"
  printf '```\n'
}

# Tickets are accepted while processing is paused, then enhanced.
measure_tickets() {
  local i started
  log "tickets; CPU use of other processes: $(busy_percent) %"
  curl -sf -o /dev/null -X POST "$HOST/admin/queue/pause"
  for i in $(seq "$TICKETS"); do
    printf 'next\nurl = "%s"\noutput = /dev/null\nheader = "content-type: application/json"\ndata = "%s"\n' \
      "$HOST/webhooks/servicedesk/load-test-tenant" "$(ticket "$i" | sed 's/"/\\"/g')"
  done | sed 1d | curl -sf --config -
  curl -sf -o /dev/null -X POST "$HOST/admin/queue/resume"
  started=$(date +%s%N)
  while curl -s "$HOST/metrics" | grep -q '^queue_depth{queue_name="enhancement_queue"} [1-9]' || has_active_jobs; do sleep 0.2; done
  awk -v n="$TICKETS" -v ns=$(($(date +%s%N) - started)) \
    'BEGIN { printf "\n%d tickets were enhanced in %.1f s: %.0f per second.\n", n, ns / 1e9, n * 1e9 / ns }'
}

ticket() {
  printf '{"event": "ticket_created", "ticket_id": "SIZING-%s", "description": "The mail server is slow", "priority": "high", "created_at": "2026-01-02T03:04:05Z"}' "$1"
}

has_active_jobs() {
  "$BIN/plant-api" jobs active | grep -Eq '^enhancement +(ready|running|waiting)'
}

# As many clients as threads hash by default on two cores: more get 503 at once, and would measure how fast that is.
measure_logins() {
  cat >"$WORK/logins.toml" <<TOML
name = "logins"
saturate = true
users = 2
spawn_rate = 2
run_time = "${LOGIN_SECONDS}s"

[target]
host = "$HOST"

[[class]]
name = "Login"

[[class.task]]
request = "POST /api/v1/auth/login"
json = { email = "loadtest_1@test.local", password = "load-test-password" }
TOML
  log "logins; CPU use of other processes: $(busy_percent) %"
  run "$BIN/plant-loadtest" run "$WORK/logins.toml" --quiet --no-color --json "$WORK/logins.json" --html "$WORK/logins.html" \
    >"$WORK/logins.txt" 2>&1 || true
  printf '\n```\n'
  grep -E '^(Judged|Latency, all)' "$WORK/logins.txt" || tail -n 5 "$WORK/logins.txt"
  printf '```\n'
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
