#!/usr/bin/env bash
# Lets schemathesis draw requests from /openapi.json, all phases, bounded, against a service and a database of its own.
#
#   scripts/fuzz_api.sh [EXAMPLES]    how many requests to draw for each operation and phase (default 40)
#
# The summary ends standard output; the whole report is .plant/fuzz/report.txt. Needs Python 3 with venv.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

EXAMPLES=${1:-40}
FOLDER=$ROOT/.plant/fuzz
DATABASE=plant_fuzz_$$
MADE=
PORT=

main() {
  cd "$ROOT"
  mkdir -p "$FOLDER"
  at_exit clean_up
  need_rust
  need_schemathesis
  borrow_services
  build
  make_database
  serve
  fuzz
}

need_schemathesis() {
  [ -x "$FOLDER/venv/bin/schemathesis" ] && return
  say "Installing schemathesis into $FOLDER/venv"
  python3 -m venv "$FOLDER/venv" || fail "needs Python 3 with venv (Debian's python3-venv)"
  run "$FOLDER/venv/bin/pip" install --quiet schemathesis
}

build() {
  run cargo build --locked -p plant-api --bins
  BIN=$(cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug
}

make_database() {
  local address=${DATABASE_URL%%\?*}
  PGOPTIONS='-c client_min_messages=warning' psql -X -q -d "$DATABASE_URL" -c "create database $DATABASE"
  MADE=yes
  OWN_URL=${address%/*}/$DATABASE${DATABASE_URL#"$address"}
  run env DATABASE_URL="$OWN_URL" "$BIN/plant-api" migrate
  run env DATABASE_URL="$OWN_URL" "$BIN/seed_test_data" --agents=20 --skills=10
}

serve() {
  for PORT in $(seq 8103 8199); do
    is_taken "$PORT" || break
  done
  start env DATABASE_URL="$OWN_URL" PLANT_LISTEN="127.0.0.1:$PORT" LOG_FILE= \
    "$BIN/plant-api" serve >"$FOLDER/service.log" 2>&1
  local tries=100
  until (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "the service does not start, see $FOLDER/service.log"
    sleep 0.1
  done
}

# A token of an account made for this, since some routes always want one.
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
  say "Drawing requests; the report grows in $FOLDER/report.txt"
  run env PYTHONPATH="$ROOT/scripts" SCHEMATHESIS_HOOKS=fuzz_checks timeout --foreground 1500 "$FOLDER/venv/bin/schemathesis" run "http://127.0.0.1:$PORT/openapi.json" \
    --phases=examples,coverage,fuzzing,stateful --checks=all --exclude-checks=positive_data_acceptance --max-examples="$EXAMPLES" --seed=42 \
    --request-timeout=10 --header="Authorization: Bearer $token" --suppress-health-check=all --no-color >"$FOLDER/report.txt" 2>&1 || verdict=$?
  sed -n '/= SUMMARY =/,$p' "$FOLDER/report.txt"
  if grep -q ' ERROR ' "$FOLDER/service.log"; then
    say "The service logged errors:"
    grep ' ERROR ' "$FOLDER/service.log" | head -5
    verdict=1
  fi
  return "$verdict"
}

clean_up() {
  stop_children
  if [ -n "$MADE" ]; then
    undisturbed psql -X -q -d "$DATABASE_URL" -c "drop database $DATABASE with (force)" || true
  fi
  give_services_back
}

main
