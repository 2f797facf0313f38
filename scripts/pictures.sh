#!/usr/bin/env bash
# Makes the pictures of the documentation again, from a real run: docs/images/report.png and docs/images/terminal.svg.
#
#   scripts/pictures.sh [OUTCOME]    with the newest build of the programs, or that in BIN=DIR
#
# Starts the service with test data and runs the profile `demo` for 45 seconds. With the outcome of an earlier run only the
# report's picture is made. Requires Python 3, and Chromium (Debian package chromium).
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

BIN=${BIN:-}
WORK=$ROOT/.plant/pictures
IMAGES=$ROOT/docs/images
OUTCOME=$WORK/reports/demo.outcome.json
MAX_BYTES=200000

main() {
  cd "$ROOT"
  mkdir -p "$WORK" "$IMAGES"
  at_exit clean_up
  command_exists chromium || install_packages chromium
  find_version
  if [ -n "${1:-}" ]; then
    OUTCOME=$1
  else
    acquire_services
    start_seeded_service pictures "$WORK/service.log"
    record_run
  fi
  run "$BIN/plant-loadtest" report "$OUTCOME" --html "$WORK/report.html" >/dev/null || verdict_is_known $?
  take_picture "$WORK/report.html" "$IMAGES/report.png"
  ls -l "$IMAGES"
}

record_run() {
  # In a folder of its own, since reports are written to the working directory.
  (cd "$WORK" && run env PATH="$BIN:$PATH" python3 "$ROOT/scripts/pictures/record_terminal.py" "$IMAGES/terminal.svg" \
    "plant-loadtest run demo" plant-loadtest run demo --host "http://127.0.0.1:$PORT") || verdict_is_known $?
  is_small "$IMAGES/terminal.svg"
}

# Usage: verdict_is_known <exit code>. Any verdict makes a picture.
verdict_is_known() {
  [[ $1 = [14] ]] || fail "plant-loadtest ended with exit code $1"
  log "The run has no PASS: the machine is busy, or the service is slow. Look at the pictures before you commit them"
}

# Usage: take_picture <page> <picture>
take_picture() {
  run timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
    --user-data-dir="$WORK/profile" --window-size=1200,1000 --virtual-time-budget=5000 --screenshot="$2" "file://$1" \
    2>"$WORK/chromium.log" || fail "chromium failed; see $WORK/chromium.log"
  is_small "$2"
}

is_small() {
  local bytes
  bytes=$(wc -c <"$1")
  ((bytes < MAX_BYTES)) || fail "$1 has $bytes bytes, more than $MAX_BYTES"
}

clean_up() {
  stop_seeded_service
  release_services
}

main "$@"
