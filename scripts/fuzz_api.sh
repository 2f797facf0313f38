#!/usr/bin/env bash
# Runs schemathesis, all phases, with requests generated from /openapi.json, on its own service and database.
#
#   scripts/fuzz_api.sh [EXAMPLES]    requests per operation and phase (default 40)
#
# Prints the summary; the full report is .plant/fuzz/report.txt. Requires Python 3 with venv.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

EXAMPLES=${1:-40}
OUTPUT_DIRECTORY=$ROOT/.plant/fuzz
DATABASE=plant_fuzz_$$
DATABASE_CREATED=
PORT=

main() {
  cd "$ROOT"
  mkdir -p "$OUTPUT_DIRECTORY"
  at_exit clean_up
  require_rust
  require_schemathesis
  acquire_services
  build
  create_database
  start_fuzzed_service
  fuzz
}

require_schemathesis() {
  [ -x "$OUTPUT_DIRECTORY/venv/bin/schemathesis" ] && return
  log "Installing schemathesis into $OUTPUT_DIRECTORY/venv"
  python3 -m venv "$OUTPUT_DIRECTORY/venv" || fail "requires Python 3 with venv (Debian package python3-venv)"
  run "$OUTPUT_DIRECTORY/venv/bin/pip" install --quiet schemathesis
}

build() {
  run cargo build --locked -p plant-api --bins
  BIN=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug
}

create_database() {
  local base=${DATABASE_URL%%\?*}
  PGOPTIONS='-c client_min_messages=warning' psql -X -q -d "$DATABASE_URL" -c "create database $DATABASE"
  DATABASE_CREATED=yes
  FUZZ_DATABASE_URL=${base%/*}/$DATABASE${DATABASE_URL#"$base"}
  run env DATABASE_URL="$FUZZ_DATABASE_URL" "$BIN/plant-api" migrate
  run env DATABASE_URL="$FUZZ_DATABASE_URL" "$BIN/seed_test_data" --agents=20 --skills=10
}

start_fuzzed_service() {
  for PORT in $(seq 8103 8199); do
    is_port_in_use "$PORT" || break
  done
  start env DATABASE_URL="$FUZZ_DATABASE_URL" PLANT_LISTEN="127.0.0.1:$PORT" LOG_FILE= \
    "$BIN/plant-api" serve >"$OUTPUT_DIRECTORY/service.log" 2>&1
  local attempts=100
  until (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || fail "the service did not start within 10 s; see $OUTPUT_DIRECTORY/service.log"
    sleep 0.1
  done
}

# Registers an account and prints an access token; some routes require one in every access mode.
log_in() {
  python3 - "http://127.0.0.1:$PORT/api/v1/auth" <<'PYTHON'
import json, sys, urllib.request

def post(route):
    body = json.dumps({"email": "fuzz@plant.example", "password": "eleven green apples"}).encode()
    request = urllib.request.Request(sys.argv[1] + route, body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=10))

post("/register")
print(post("/login")["access_token"])
PYTHON
}

fuzz() {
  local verdict=0 token
  token=$(log_in)
  log "Running schemathesis; report: $OUTPUT_DIRECTORY/report.txt"
  run env PYTHONPATH="$ROOT/scripts" SCHEMATHESIS_HOOKS=fuzz_checks timeout --foreground 1500 "$OUTPUT_DIRECTORY/venv/bin/schemathesis" run "http://127.0.0.1:$PORT/openapi.json" \
    --phases=examples,coverage,fuzzing,stateful --checks=all --exclude-checks=positive_data_acceptance --max-examples="$EXAMPLES" --seed=42 \
    --request-timeout=10 --header="Authorization: Bearer $token" --suppress-health-check=all --no-color >"$OUTPUT_DIRECTORY/report.txt" 2>&1 || verdict=$?
  sed -n '/= SUMMARY =/,$p' "$OUTPUT_DIRECTORY/report.txt"
  if grep -q ' ERROR ' "$OUTPUT_DIRECTORY/service.log"; then
    log "The service logged errors:"
    grep ' ERROR ' "$OUTPUT_DIRECTORY/service.log" | head -5
    verdict=1
  fi
  return "$verdict"
}

clean_up() {
  stop_children
  if [ -n "$DATABASE_CREATED" ]; then
    ignoring_signals psql -X -q -d "$DATABASE_URL" -c "drop database $DATABASE with (force)" || true
  fi
  release_services
}

main
