#!/usr/bin/env bash
# Opens a web page of another origin in headless Chromium, which calls the API: registers, lists, creates and changes agents.
#
#   scripts/check_browser.sh    with the newest build of plant-api, or that in BIN=DIR
#
# The page is scripts/browser/page.html; a picture of it is .plant/browser/page.png. A page whose origin is not in
# PLANT_CORS_ORIGINS must fail. Starts its own PostgreSQL and Redis. Requires Chromium (Debian package chromium) and Python 3.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

BIN=${BIN:-}
WORK=$ROOT/.plant/browser

main() {
  cd "$ROOT"
  mkdir -p "$WORK"
  at_exit clean_up
  find_version
  command_exists chromium || install_packages chromium
  start_dedicated_services browser
  run "$BIN/plant-api" migrate
  run "$BIN/seed_test_data" --agents=20 --skills=10 >/dev/null

  PORT=$(free_port 18900)
  PAGES=$(free_port $((PORT + 1)))
  start_service "$PORT" "$WORK/service.log" PLANT_CORS_ORIGINS="http://localhost:$PAGES"
  start python3 -m http.server --bind 127.0.0.1 --directory "$ROOT/scripts/browser" "$PAGES" >"$WORK/pages.log" 2>&1
  wait_until 5 is_port_in_use "$PAGES" || fail "the pages are not served; see $WORK/pages.log"

  open_page localhost --screenshot="$WORK/page.png" --window-size=900,900
  open_page localhost --dump-dom >"$WORK/page.html"
  expect passed
  open_page 127.0.0.1 --dump-dom >"$WORK/page.html"
  expect failed
  grep -q "TypeError: Failed to fetch" "$WORK/page.html" || fail "the page failed for another reason; see $WORK/page.html"
  log "The page of http://localhost:$PAGES has called http://127.0.0.1:$PORT; see $WORK/page.png"
}

# Usage: open_page <host of the page> <argument of Chromium>…
open_page() {
  local host=$1
  shift
  # Virtual time ends when no request is running.
  run timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$WORK/profile" \
    --virtual-time-budget=20000 "$@" "http://$host:$PAGES/page.html?api=http://127.0.0.1:$PORT" 2>"$WORK/chromium.log"
}

# Usage: expect <title>
expect() {
  if ! grep -q "<title>$1</title>" "$WORK/page.html"; then
    sed -n '/<pre/,/<\/pre>/p' "$WORK/page.html" >&2
    fail "the title of the page is not '$1'; see $WORK/page.html and $WORK/chromium.log"
  fi
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main
