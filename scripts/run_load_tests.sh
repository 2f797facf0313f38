#!/usr/bin/env bash
# Load test of the platform API (platform load tests): authentication, generation and payments. The service must be running.
#
#   scripts/run_load_tests.sh [options] [-- options of `plant-loadtest run`]
#     --host URL          base URL of the service                                     LOAD_TEST_HOST
#     --users-min N       users that the ramp passes, at most --users-max             LOAD_TEST_USERS_MIN
#     --users-max N       users of the steady stage                                   LOAD_TEST_USERS_MAX
#     --spawn-rate N      users started per second                                    LOAD_TEST_SPAWN_RATE
#     --duration N        seconds of the steady stage                                 LOAD_TEST_DURATION_SECONDS
#     --output DIR        folder of the reports                                       LOAD_TEST_REPORT_DIR
#     --no-report         no HTML and no CSV
#     --json-only         load_test_metrics.json and load_test.log only
#     -- OPTIONS          options of `plant-loadtest run`, such as --junit FILE, or --allow-remote for another machine
#
# Defaults come from the environment, else from .env.load-testing.local, else from .env.load-testing, which explains the
# thresholds, too. Writes locust_report.html, load_test_results_*.csv, load_test_metrics.json and load_test.log.
# Exit code: 0 all criteria met, 1 not all or wrong usage, otherwise that of plant-loadtest.
set -euo pipefail

# `cd` would search and print other folders.
unset CDPATH
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/loadtest.sh
. "$ROOT/scripts/lib/loadtest.sh"

# Whether --users-min was given; otherwise --users-max may be below its default.
USERS_MIN_GIVEN=false
# Options after `--`.
RUN_OPTIONS=()

main() {
  load_settings "$ROOT/.env.load-testing.local"
  load_settings "$ROOT/.env.load-testing"
  local html=true json_only=false
  parse_options "$@"
  check_settings
  mkdir -p -- "$LOAD_TEST_REPORT_DIR" || fail "the folder '$LOAD_TEST_REPORT_DIR' cannot be made"
  LOAD_TEST_REPORT_DIR=$(cd -- "$LOAD_TEST_REPORT_DIR" && pwd -P)
  remove_old_reports
  WORK=$(mktemp -d)
  at_exit clean_up
  write_sla >"$WORK/platform.toml"
  run_load_test
}

# Usage: load_settings <file>. Sets the variables of the file that are not set yet.
load_settings() {
  local line name
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    line=${line#"${line%%[![:space:]]*}"}
    case $line in '' | '#'*) continue ;; esac
    line=${line#export }
    name=${line%%=*}
    case $name in *[!A-Z0-9_]* | '' | [0-9]*) fail "$1: expected NAME=value, not '$line'" ;; esac
    [ -n "${!name+set}" ] || printf -v "$name" '%s' "$(unquoted "${line#*=}")"
  done <"$1"
}

# Usage: unquoted <value>: prints it without the quotes around it.
unquoted() {
  case $1 in
    \"*\" | \'*\') printf '%s' "${1:1:-1}" ;;
    *) printf '%s' "$1" ;;
  esac
}

# A failed run must not leave the results of an earlier one.
remove_old_reports() {
  rm -f -- "$LOAD_TEST_REPORT_DIR"/locust_report.html "$LOAD_TEST_REPORT_DIR"/load_test_results_*.csv \
    "$LOAD_TEST_REPORT_DIR"/load_test_metrics.json "$LOAD_TEST_REPORT_DIR"/load_test.log
}

parse_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --host | --users-min | --users-max | --spawn-rate | --duration | --output)
        [ $# -gt 1 ] || usage_error "$1 needs a value"
        set_option "$1" "$2"
        shift
        ;;
      --no-report) html=false ;;
      --json-only) json_only=true ;;
      --)
        shift
        RUN_OPTIONS=("$@")
        return
        ;;
      -h | --help)
        help
        exit 0
        ;;
      *) usage_error "unknown option '$1'" ;;
    esac
    shift
  done
}

set_option() {
  case $1 in
    --host) LOAD_TEST_HOST=$2 ;;
    --users-min) LOAD_TEST_USERS_MIN=$2 USERS_MIN_GIVEN=true ;;
    --users-max) LOAD_TEST_USERS_MAX=$2 ;;
    --spawn-rate) LOAD_TEST_SPAWN_RATE=$2 ;;
    --duration) LOAD_TEST_DURATION_SECONDS=$2 ;;
    --output) LOAD_TEST_REPORT_DIR=$2 ;;
  esac
}

usage_error() {
  printf 'run_load_tests.sh: %s\n\n' "$1" >&2
  help >&2
  exit 1
}

help() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$ROOT/scripts/run_load_tests.sh"
}

check_settings() {
  local name
  [ -n "$LOAD_TEST_REPORT_DIR" ] || usage_error "--output needs the name of a folder"
  for name in LOAD_TEST_USERS_MIN LOAD_TEST_USERS_MAX LOAD_TEST_SPAWN_RATE LOAD_TEST_DURATION_SECONDS LOAD_TEST_TIMEOUT \
    AUTH_P95_LATENCY_MS GENERATION_P95_LATENCY_MS PAYMENTS_P95_LATENCY_MS; do
    case ${!name} in
      *[!0-9]* | '' | 0* | ????????*) usage_error "$name must be a whole number from 1 to 9999999, not '${!name}'" ;;
    esac
  done
  for name in AUTH GENERATION PAYMENTS; do
    name=${name}_SUCCESS_RATE_THRESHOLD
    awk -v rate="${!name}" 'BEGIN { exit !(rate ~ /^[01]?\.?[0-9]*$/ && rate >= 0 && rate < 1) }' ||
      usage_error "$name must be from 0 to less than 1, not '${!name}'"
  done
  if [ "$LOAD_TEST_USERS_MIN" -gt "$LOAD_TEST_USERS_MAX" ]; then
    ! $USERS_MIN_GIVEN || usage_error "--users-min must not exceed --users-max"
    LOAD_TEST_USERS_MIN=$LOAD_TEST_USERS_MAX
  fi
}

# Prints the SLA of the profile with the thresholds of the settings.
write_sla() {
  awk -v auth="$AUTH_P95_LATENCY_MS" -v generation="$GENERATION_P95_LATENCY_MS" -v payments="$PAYMENTS_P95_LATENCY_MS" \
    -v auth_rate="$AUTH_SUCCESS_RATE_THRESHOLD" -v generation_rate="$GENERATION_SUCCESS_RATE_THRESHOLD" \
    -v payments_rate="$PAYMENTS_SUCCESS_RATE_THRESHOLD" '
    function pick(a, g, p) { return group ~ /generation/ ? g : group ~ /payments/ ? p : a }
    /^group = / { group = $0 }
    /^fail = \["p95 / {
      p95 = pick(auth, generation, payments)
      errors = (1 - pick(auth_rate, generation_rate, payments_rate)) * 100
      $0 = "fail = [\"p95 < " p95 "ms\", \"errors < " errors "%\"]"
    }
    { print }
  ' "$ROOT/plant-loadtest/sla/platform.toml"
}

run_load_test() {
  local code=0 reports=$LOAD_TEST_REPORT_DIR ramp
  ramp=$(((LOAD_TEST_USERS_MAX + LOAD_TEST_SPAWN_RATE - 1) / LOAD_TEST_SPAWN_RATE))
  local arguments=(run platform --host "$LOAD_TEST_HOST" --users "$LOAD_TEST_USERS_MAX" --spawn-rate "$LOAD_TEST_SPAWN_RATE"
    --run-time "$((ramp + LOAD_TEST_DURATION_SECONDS))s" --timeout "${LOAD_TEST_TIMEOUT}s" --sla "$WORK/platform.toml"
    --metrics-json "$reports/load_test_metrics.json" --no-color)
  case " ${RUN_OPTIONS[*]:-}" in
    *" --json"*) ;; # the caller keeps the outcome
    *) arguments+=(--json "$WORK/outcome.json") ;;
  esac
  if $html && ! $json_only; then
    arguments+=(--html "$reports/locust_report.html" --csv "$reports/load_test_results")
  else
    arguments+=(--html "$WORK/report.html" --csv "$WORK/results")
  fi
  # Not just "${RUN_OPTIONS[@]}": to bash 4.3 and older an empty array is an unset variable.
  arguments+=(${RUN_OPTIONS[@]+"${RUN_OPTIONS[@]}"})
  "$(find_program plant-loadtest)" "${arguments[@]}" 2>&1 | grep --line-buffered -vF "$WORK/" | tee "$reports/load_test.log" || code=${PIPESTATUS[0]}
  $json_only || [ ! -f "$reports/load_test_metrics.json" ] || printf '\nReports: %s\n' "$reports"
  return "$code"
}

clean_up() {
  rm -rf "$WORK"
}

main "$@"
