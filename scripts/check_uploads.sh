#!/usr/bin/env bash
# Sends bodies of 4 to 8 MB, which are refused, with Node, Python and curl: each must receive the response, 20 times out of 20.
#
#   scripts/check_uploads.sh    with the newest build of plant-api, or that in BIN=DIR
#
# Starts its own PostgreSQL and Redis. Requires Node 18 or newer (Debian package nodejs), Python 3 and curl.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

BIN=${BIN:-}
WORK=$ROOT/.plant/uploads
FAILED=0

main() {
  cd "$ROOT"
  mkdir -p "$WORK"
  at_exit clean_up
  find_version
  command_exists node || install_packages nodejs
  command_exists curl || install_packages curl
  start_dedicated_services uploads
  run "$BIN/plant-api" migrate
  PORT=$(free_port 19100)
  start_service "$PORT" "$WORK/service.log"
  check_route /api/v1/skills 413
  check_route /nowhere 404
  check_route /api/v1/generation/create 401
  check_route /api/v1/skills 415 text/plain
  return "$FAILED"
}

# Usage: check_route <path> <status> [<content type>]
check_route() {
  local url=http://127.0.0.1:$PORT$1 program outcome
  for program in "node scripts/uploads/upload.mjs" "python3 scripts/uploads/upload.py" upload_with_curl; do
    # shellcheck disable=SC2086 # a program and its script
    outcome=$($program "$url" "${3:-application/json}" | sort | paste -sd , -)
    log "$(printf '%-24s %s %-38s %s' "$1" "$2" "$program" "$outcome")"
    [ "$outcome" = "$2 20" ] || FAILED=1
  done
}

# Usage: upload_with_curl <url> <content type>
upload_with_curl() {
  local n
  for n in $(seq 20); do
    head -c $((4194304 + n % 5 * 1048576)) /dev/zero |
      curl -s -o /dev/null -w '%{http_code}\n' -H "Content-Type: $2" -H 'Expect:' --data-binary @- "$1" || true
  done | sort | uniq -c | awk '{ print $2, $1 }'
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main
