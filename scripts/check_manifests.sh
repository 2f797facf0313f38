#!/usr/bin/env bash
# Checks the manifests in deploy/k8s without a cluster (docs/kubernetes.md).
#
#   scripts/check_manifests.sh           by the schemas of Kubernetes, and against the programs and settings of this repository
#   scripts/check_manifests.sh --run     also runs their commands as local processes
#
# BIN=DIR uses the programs there instead of building them. Installs kubernetes-validate from PyPI, which has the schemas.
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

WORK=$ROOT/.plant/manifests
PYTHON_TOOLS=(kubernetes-validate==1.37.0)

main() {
  case ${1:-} in
    '' | --run) ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/check_manifests.sh" ;;
  esac
  cd "$ROOT"
  mkdir -p "$WORK"
  at_exit clean_up
  install_python_tools "$WORK/python" "${PYTHON_TOOLS[@]}"
  build_release --bins
  run "$WORK/python/bin/python" scripts/manifests/check.py "$BIN"
  if [ "${1:-}" = --run ]; then
    start_dedicated_services manifests
    run "$WORK/python/bin/python" scripts/manifests/run.py "$BIN" "$WORK"
  fi
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
