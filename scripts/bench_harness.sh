#!/usr/bin/env bash
# Measures the CPU time per request of plant-loadtest, of bare Goose (with bodies read) and of wrk, each against the
# bundled stub server; and that of the backend journey with its users in Rust and as data.
#
# Usage: scripts/bench_harness.sh [SECONDS [ROUNDS]]        default: 10 seconds, 3 rounds
# BIN: directory of the programs (default target/release). wrk is skipped if it is not installed.
# The load generators alternate in each round, so that other load on the machine affects all of them; prints medians.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN=${BIN:-$ROOT/target/release}
SECONDS_EACH=${1:-10}
ROUNDS=${2:-3}
USERS=20
PORT=8819
HOST=http://127.0.0.1:$PORT

WORK=$(mktemp -d)
stub=
clean_up() {
  [[ -z $stub ]] || kill "$stub" 2>/dev/null || true
  rm -rf "$WORK"
}
trap clean_up EXIT

"$BIN/plant-loadtest" stub --port "$PORT" --items 100 >"$WORK/stub.log" &
stub=$!
until curl -sf "$HOST/health" -o /dev/null; do kill -0 "$stub"; sleep 0.1; done

# Prints the number of requests that the stub has received, without those for /metrics.
requests_received() {
  curl -sf "$HOST/metrics" | awk '$1 == "stub_requests_total" { print $2 }'
}

profile() { # NAME; reads the classes from standard input
  cat - >"$WORK/classes" && cat - "$WORK/classes" >"$WORK/$1.toml" <<PROFILE
name = "cost"
description = "CPU time per request."
saturate = true
[[stage]]
name = "all"
users = $USERS
lasts = "${SECONDS_EACH}s"
PROFILE
}
for class in HealthCheckUser AgentListUser PlantBackendUser; do
  printf '[[class]]\nname = "%s"\n' "$class" | profile "$class"
done
sed -n '/^\[\[class\]\]/,$p' "$ROOT/plant-loadtest/examples/plant-backend-user.toml" | profile BackendUser

# Appends to `measurements`: route, load generator, CPU microseconds per request, requests per second.
measure() { # ROUTE GENERATOR COMMAND...
  local route=$1 generator=$2 before cpu
  shift 2
  before=$(requests_received)
  cpu=$( { TIMEFORMAT='%U %S'; time "$@" >"$WORK/out.log" 2>&1; } 2>&1 )
  awk -v cpu="$cpu" -v before="$before" -v after="$(requests_received)" -v s="$SECONDS_EACH" \
    -v route="$route" -v generator="$generator" 'BEGIN {
      split(cpu, parts, " "); n = after - before
      printf "%s %s %.2f %.0f\n", route, generator, (parts[1] + parts[2]) * 1e6 / n, n / s
    }' >>"$WORK/measurements"
}

run_round() { # ROUTE PATH CLASS
  if command -v wrk >/dev/null; then
    measure "$1" wrk wrk -t 1 -c "$USERS" -d "${SECONDS_EACH}s" "$HOST$2"
  fi
  measure "$1" goose "$BIN/examples/bare_goose" "$2" "$HOST" "$USERS" "$SECONDS_EACH"
  (cd "$WORK" && measure "$1" plant-loadtest "$BIN/plant-loadtest" run "$WORK/$3.toml" --quiet --host "$HOST")
}

run_journey() { # GENERATOR CLASS
  (cd "$WORK" && measure journey "$1" "$BIN/plant-loadtest" run "$WORK/$2.toml" --quiet --host "$HOST")
}

for ((round = 1; round <= ROUNDS; round++)); do
  run_journey rust PlantBackendUser
  run_journey data BackendUser
  run_round health /health HealthCheckUser
  run_round list /api/v1/agents AgentListUser
done

awk -v rounds="$ROUNDS" -v seconds="$SECONDS_EACH" -v users="$USERS" '
  function median(list,    n, i, j, swap, parts) {
    n = split(list, parts, " ")
    for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[i] + 0 > parts[j] + 0) {
      swap = parts[i]; parts[i] = parts[j]; parts[j] = swap
    }
    return parts[int((n + 1) / 2)]
  }
  function row(route, generator, label, base,    key, ratio) {
    key = route " " generator
    if (!(key in cpu)) return
    ratio = median(cpu[key]) / median(cpu[route " " base])
    printf "| %s | %.1f | %.2f | %d |\n", label, median(cpu[key]), ratio, median(rate[key])
  }
  { key = $1 " " $2; cpu[key] = cpu[key] " " $3; rate[key] = rate[key] " " $4 }
  END {
    printf "Medians of %d interleaved rounds of %d s, %d users without think time, response bodies read. Ratio: to bare Goose, for the journey to users in Rust.\n\n", rounds, seconds, users
    print "| load generator | CPU µs per request | ratio | requests/s |"
    print "|---|---:|---:|---:|"
    row("health", "wrk", "`GET /health` (64 bytes): wrk, one thread", "goose")
    row("health", "goose", "`GET /health`: bare Goose", "goose")
    row("health", "plant-loadtest", "plant-loadtest", "goose")
    row("list", "wrk", "`GET /api/v1/agents` (100 agents): wrk, one thread", "goose")
    row("list", "goose", "`GET /api/v1/agents`: bare Goose", "goose")
    row("list", "plant-loadtest", "plant-loadtest", "goose")
    row("journey", "rust", "backend journey: users in Rust", "rust")
    row("journey", "data", "users as data", "rust")
  }' "$WORK/measurements"
