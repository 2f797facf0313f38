#!/usr/bin/env bash
# Checks rules, alerts and dashboards in a real Prometheus that scrapes the running service under a little load.
#
#   scripts/check_observability.sh                all of the following, in three minutes
#   scripts/check_observability.sh rules          promtool: configuration, rules, and tests of the rules whose fault takes long
#   scripts/check_observability.sh expressions    every expression of dashboards, rules, alerts and docs returns data; scrapes
#                                                 are small, and clean for promtool
#   scripts/check_observability.sh types          reads the dashboards with Grafana's published types (needs PyPI)
#   scripts/check_observability.sh alerts         makes the fault of each alert: it must fire, and clear afterwards
#
# Uses plant-api, plant-loadtest and seed_test_data on the PATH, or of the newest build; starts its own PostgreSQL, Redis,
# service and Prometheus on free ports, and deletes them afterwards. The alerts need an otherwise idle machine.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"
# shellcheck source=scripts/lib/loadtest.sh
. "$ROOT/scripts/lib/loadtest.sh"

WORK=.plant/observability
# Of the grafana image in the compose file.
GRAFANA_TYPES='grafana-foundation-sdk==1769699630!11.2.0'

main() {
  local part=${1:-all}
  cd "$ROOT"
  case $part in
    all | rules | expressions | types | alerts) ;;
    *) fail "unknown argument '$part'; see the usage at the top of scripts/check_observability.sh" ;;
  esac
  mkdir -p "$WORK"
  at_exit clean_up
  install_missing
  case $part in
    rules) check_rules ;;
    types) check_types ;;
    expressions)
      check_rules
      check_running expressions
      ;;
    alerts) check_running alerts ;;
    all)
      check_rules
      check_types
      check_running expressions alerts
      ;;
  esac
}

install_missing() {
  local packages=()
  command_exists promtool || packages+=(prometheus)
  command_exists python3 || packages+=(python3)
  [ ${#packages[@]} -eq 0 ] || install_packages "${packages[@]}"
}

check_rules() {
  run promtool check config deploy/prometheus/prometheus.yml >"$WORK/promtool.txt" || {
    cat "$WORK/promtool.txt"
    exit 1
  }
  run promtool test rules deploy/prometheus/tests.yml
}

check_types() {
  local venv=$WORK/venv
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/pip" list 2>/dev/null | grep -q grafana; then
    python3 -m venv "$venv" || fail "requires Python 3 with venv (Debian package python3-venv)"
    run "$venv/bin/pip" install --quiet "$GRAFANA_TYPES"
  fi
  run "$venv/bin/python" scripts/observability/dashboards.py deploy/grafana/dashboards/*.json
  log "dashboards: every value is known to Grafana's types ($GRAFANA_TYPES)"
}

# Usage: check_running <part>…
check_running() {
  start_dedicated_services observability
  PLANT_API=$(find_program plant-api)
  PLANT_LOADTEST=$(find_program plant-loadtest)
  export PLANT_API PLANT_LOADTEST
  run "$PLANT_API" migrate >/dev/null
  run "$(find_program seed_test_data)" --agents=100 --skills=50 --users=100 >/dev/null
  run python3 scripts/observability/check.py "$WORK" "$@"
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
