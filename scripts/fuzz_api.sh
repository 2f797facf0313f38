#!/usr/bin/env bash
# Runs schemathesis, all phases, with requests generated from /openapi.json: once without a token and once with one, each on
# its own service and database with test data.
#
#   scripts/fuzz_api.sh [EXAMPLES]    requests per operation and phase (default 40)
#
# Prints the summaries, how many operations succeeded at least once, and the size of /metrics; fails if there are failures,
# errors in the log of the service, too few of those operations, or too many bytes. The full reports are in .plant/fuzz/.
# Requires Python 3 with venv.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/lib/api_tools.sh
. "$ROOT/scripts/lib/api_tools.sh"

EXAMPLES=${1:-40}
OUTPUT_DIRECTORY=$ROOT/.plant/fuzz
# Share of the operations, of those that need no token or with one of all, that must succeed at least once.
MIN_SUCCESS_PERCENT=90
# Size of /metrics after the requests.
MAX_METRICS_BYTES=131072

main() {
  local verdict=0
  cd "$ROOT"
  mkdir -p "$OUTPUT_DIRECTORY"
  at_exit clean_up
  require_rust
  install_python_tools "$OUTPUT_DIRECTORY/venv" schemathesis
  acquire_services
  fuzz without-token || verdict=1
  fuzz with-token || verdict=1
  return "$verdict"
}

# Usage: fuzz <without-token|with-token>
fuzz() {
  local verdict=0 options=() report=$OUTPUT_DIRECTORY/$1
  start_seeded_service fuzz "$report.log"
  if [ "$1" = with-token ]; then
    options=(--header="Authorization: Bearer $(log_in)")
  fi
  log "Running schemathesis $1; report: $report.txt"
  run env PYTHONPATH="$ROOT/scripts" SCHEMATHESIS_HOOKS=fuzz_checks FUZZ_STATUSES="$report.json" \
    timeout --foreground 1500 "$OUTPUT_DIRECTORY/venv/bin/schemathesis" run "http://127.0.0.1:$PORT/openapi.json" \
    --phases=examples,coverage,fuzzing,stateful --checks=all --exclude-checks=positive_data_acceptance \
    --max-examples="$EXAMPLES" --seed=42 --generation-allow-x00=false --request-timeout=10 "${options[@]}" \
    --suppress-health-check=all --no-color >"$report.txt" 2>&1 || verdict=$?
  sed -n '/= SUMMARY =/,$p' "$report.txt"
  python3 "$ROOT/scripts/fuzz_summary.py" "$report.json" "$1" "$MIN_SUCCESS_PERCENT" || verdict=1
  fetch_body "$PORT" /metrics >"$report.metrics"
  log "/metrics: $(wc -c <"$report.metrics") bytes, $(grep -vc '^#' "$report.metrics") samples"
  if [ "$(wc -c <"$report.metrics")" -gt "$MAX_METRICS_BYTES" ]; then
    log "/metrics has more than $MAX_METRICS_BYTES bytes"
    verdict=1
  fi
  if grep -q ' ERROR ' "$report.log"; then
    log "The service logged errors:"
    grep ' ERROR ' "$report.log" | head -5
    verdict=1
  fi
  stop_seeded_service
  return "$verdict"
}

# Logs in with an account of the test data and prints an access token.
log_in() {
  python3 - "http://127.0.0.1:$PORT/api/v1/auth/login" <<'PYTHON'
import json, sys, urllib.request

body = json.dumps({"email": "loadtest_1@test.local", "password": "load-test-password"}).encode()
request = urllib.request.Request(sys.argv[1], body, {"content-type": "application/json"})
print(json.load(urllib.request.urlopen(request, timeout=10))["access_token"])
PYTHON
}

clean_up() {
  stop_seeded_service
  release_services
}

main
