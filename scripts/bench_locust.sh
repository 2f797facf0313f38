#!/usr/bin/env bash
# Compares a worker of plant-loadtest with Locust's own, whose users are FastHttpUser: the same master, the same requests, the
# same number of users, in turns. The service and the master run on the first CPU, the workers on the second.
#
#   scripts/bench_locust.sh [SECONDS [ROUNDS]]    of each measurement (default 10 and 3)
#
# BIN=DIR uses plant-loadtest there instead of building it (profile demo). Installs Locust into .plant/locust/. Requires
# Python 3 with venv. Linux only.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/api_tools.sh
. "$ROOT/scripts/lib/api_tools.sh"

WORK=$ROOT/.plant/locust
VERSION=2.47.0

main() {
  cd "$ROOT"
  mkdir -p "$WORK"
  if [ -z "${BIN:-}" ]; then
    require_rust
    run env SQLX_OFFLINE=true cargo build --workspace --bin plant-loadtest --profile demo --locked
    BIN=$(target_directory)/demo
  fi
  install_python_tools "$WORK/$VERSION" "locust==$VERSION"
  run "$WORK/$VERSION/bin/python" scripts/locust/bench_workers.py \
    "$WORK/$VERSION/bin/locust" "$BIN/plant-loadtest" "$WORK/bench" "${1:-10}" "${2:-3}"
}

main "$@"
