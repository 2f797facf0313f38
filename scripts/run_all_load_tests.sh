#!/usr/bin/env bash
# All load tests of the ticket enhancement (ticket load tests), one after the other, with one summary: baseline, peak, burst,
# endurance. The service must be running, with the tenant load-test-tenant. Takes 51 minutes.
#
#   scripts/run_all_load_tests.sh [HOST] [options]
#     HOST                base URL of the service; default: the local one       LOAD_TEST_HOST
#     --time-scale 0.1    factor for all durations, for a short trial
#     --help              all options, those of `plant-loadtest suite`
#
# Before each test the tenant's history and queued work are deleted. Reports are written to reports/ of the current folder.
# Exit code: that of plant-loadtest: 0 all tests passed, perhaps with warnings, 1 one failed, 3 one could not run, 4 no verdict.
set -euo pipefail

# `cd` would search and print other folders.
unset CDPATH
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/loadtest.sh
. "$ROOT/scripts/lib/loadtest.sh"

main() {
  local host=${LOAD_TEST_HOST:-} program
  case ${1:-} in
    '' | -*) ;;
    *)
      host=$1
      shift
      ;;
  esac
  program=$(find_program plant-loadtest)
  if [ -n "$host" ]; then
    set -- --host "$host" "$@"
  fi
  exec "$program" suite tickets "$@"
}

main "$@"
