#!/usr/bin/env bash
# What a request costs the load generator: processor time of this harness, of bare Goose that reads
# bodies, and of wrk, side by side against the bundled stub.
#
# Usage: scripts/bench_harness.sh [SECONDS [ROUNDS]]        10 seconds, 3 rounds
# BIN says where the programs are (target/release); wrk is left out where it is not installed.
# Rounds are interleaved, so that what else the machine does hits all alike; medians are shown.
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

# How many requests the stub has seen, those for its figures aside.
seen() {
  curl -sf "$HOST/metrics" | awk '$1 == "stub_requests_total" { print $2 }'
}

profile() { # CLASS
  cat >"$WORK/$1.toml" <<PROFILE
name = "cost"
description = "What a request costs."
saturate = true
[[stage]]
name = "all"
users = $USERS
lasts = "${SECONDS_EACH}s"
[[class]]
name = "$1"
weight = 1
PROFILE
}
profile HealthCheckUser
profile AgentListUser

# Processor microseconds a request of a command, and its requests a second.
measure() { # WHAT WHO COMMAND...
  local what=$1 who=$2 before cpu
  shift 2
  before=$(seen)
  cpu=$( { TIMEFORMAT='%U %S'; time "$@" >"$WORK/out.log" 2>&1; } 2>&1 )
  awk -v cpu="$cpu" -v before="$before" -v after="$(seen)" -v s="$SECONDS_EACH" \
    -v what="$what" -v who="$who" 'BEGIN {
      split(cpu, parts, " "); n = after - before
      printf "%s %s %.2f %.0f\n", what, who, (parts[1] + parts[2]) * 1e6 / n, n / s
    }' >>"$WORK/figures"
}

one_round() { # WHAT PATH CLASS
  if command -v wrk >/dev/null; then
    measure "$1" wrk wrk -t 1 -c "$USERS" -d "${SECONDS_EACH}s" "$HOST$2"
  fi
  measure "$1" goose "$BIN/examples/bare_goose" "$2" "$HOST" "$USERS" "$SECONDS_EACH"
  (cd "$WORK" && measure "$1" ours "$BIN/plant-loadtest" run "$WORK/$3.toml" --quiet --host "$HOST")
}

for ((round = 1; round <= ROUNDS; round++)); do
  one_round health /health HealthCheckUser
  one_round list /api/v1/agents AgentListUser
done

awk -v rounds="$ROUNDS" -v seconds="$SECONDS_EACH" -v users="$USERS" '
  function median(list,    n, i, j, swap, parts) {
    n = split(list, parts, " ")
    for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (parts[i] + 0 > parts[j] + 0) {
      swap = parts[i]; parts[i] = parts[j]; parts[j] = swap
    }
    return parts[int((n + 1) / 2)]
  }
  function show(what, who, name,    key, of) {
    key = what " " who
    if (!(key in cpu)) return
    of = median(cpu[key]) / median(cpu[what " goose"])
    printf "| %s | %.1f | %.2f | %d |\n", name, median(cpu[key]), of, median(rate[key])
  }
  { key = $1 " " $2; cpu[key] = cpu[key] " " $3; rate[key] = rate[key] " " $4 }
  END {
    printf "Medians of %d interleaved rounds of %d s, %d users without think time, bodies read.\n\n", rounds, seconds, users
    print "| who | CPU µs a request | of bare Goose | requests/s |"
    print "|---|---:|---:|---:|"
    show("health", "wrk", "`GET /health` (64 bytes): wrk, one thread")
    show("health", "goose", "bare Goose")
    show("health", "ours", "this harness")
    show("list", "wrk", "`GET /api/v1/agents` (100 agents): wrk, one thread")
    show("list", "goose", "bare Goose")
    show("list", "ours", "this harness")
  }' "$WORK/figures"
