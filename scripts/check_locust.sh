#!/usr/bin/env bash
# Drives workers of plant-loadtest with unmodified Locust masters: start, more and fewer users, stop, restart, --headless with
# CSV and HTML, a worker and a master that are killed, the web UI in headless Chromium (if it is installed), 32 workers. All
# figures of the master must equal those of the workers.
#
#   scripts/check_locust.sh                  with the newest and two older versions of Locust
#   scripts/check_locust.sh --newest         with the newest one
#   scripts/check_locust.sh VERSION…         with these versions
#   CASES='web many_workers' scripts/check_locust.sh    these cases
#
# With the newest debug build of plant-loadtest, or that in BIN=DIR. Installs each version of Locust into .plant/locust/.
# Requires Python 3 with venv.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/api_tools.sh
. "$ROOT/scripts/lib/api_tools.sh"

WORK=$ROOT/.plant/locust
NEWEST=2.47.0
VERSIONS=("$NEWEST" 2.46.7 2.43.4)
CASES=${CASES:-}

main() {
  local version failed=0
  cd "$ROOT"
  mkdir -p "$WORK"
  case ${1:-} in
    '') ;;
    --newest) VERSIONS=("$NEWEST") ;;
    *) VERSIONS=("$@") ;;
  esac
  if [ -z "${BIN:-}" ]; then
    require_rust
    run env SQLX_OFFLINE=true cargo build --workspace --bins --locked
    BIN=$(target_directory)/debug
  fi
  for version in "${VERSIONS[@]}"; do
    install_python_tools "$WORK/$version" "locust==$version"
    # shellcheck disable=SC2086 # one word for each case
    "$WORK/$version/bin/python" scripts/locust/check_locust.py \
      "$WORK/$version/bin/locust" "$BIN/plant-loadtest" "$WORK/runs-$version" $CASES || failed=1
  done
  [ "$failed" = 0 ] || fail "figures differ; the logs are in $WORK"
  log "The figures of all masters equal those of the workers"
}

main "$@"
