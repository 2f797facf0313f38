#!/usr/bin/env bash
# Runs all checks: format, lints, the table of settings, SQL against the migrated schema, links of the documentation, tests,
# dashboards, manifests, a worker of Locust's newest master, which it installs.
#
#   scripts/test.sh [--long]    --long adds generated clients and older masters of Locust, which it installs, and checks whose tools
#                               (cargo-deny, shellcheck, docker-compose, actionlint, zizmor, cargo-mutants) are installed
#
# With cargo-mutants --long takes hours: scripts/mutants.sh says how to run a part of it.
#
# Starts PostgreSQL and Redis if they are not running, and stops them at the end.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

SUMMARY=
FAILED=0

main() {
  case ${1:-} in
    '' | --long) ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/test.sh" ;;
  esac
  cd "$ROOT"
  at_exit clean_up
  step "services" acquire_services
  step "toolchain" require_rust
  step "format" run cargo fmt --all --check
  step "table of settings" run ./scripts/settings.sh --check
  step "lints and SQL" run ./scripts/prepare_sql.sh --check
  step "documentation" run env SQLX_OFFLINE=true RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
  # Offline, with the committed .sqlx/, like a build without a database.
  step "tests" run env SQLX_OFFLINE=true cargo test --workspace --locked
  step "rules, alerts and dashboards" check_observability expressions
  # With --long all cases, with three versions of Locust.
  [ "${1:-}" = --long ] || step "workers of Locust's master" check_locust_once
  step "manifests" with_debug_programs ./scripts/check_manifests.sh
  if [ "${1:-}" = --long ]; then
    long_steps
  fi
  printf '\n%s' "$SUMMARY"
  return "$FAILED"
}

# Usage: check_observability <part>. With the programs that the tests have built.
check_observability() {
  run env CARGO_TARGET_DIR="$(target_directory)" ./scripts/check_observability.sh "$1"
}

check_locust_once() {
  CASES='headless web' with_debug_programs ./scripts/check_locust.sh --newest
}

# Usage: with_debug_programs <script> [argument]… With the programs that the tests have built.
with_debug_programs() {
  run env BIN="$(target_directory)/debug" "$@"
}

long_steps() {
  step "generated clients" with_debug_programs ./scripts/check_clients.sh
  step "faults that alerts detect" check_observability alerts
  step "a web page of another origin" with_debug_programs ./scripts/check_browser.sh
  step "refused bodies" with_debug_programs ./scripts/check_uploads.sh
  step "workers of Locust's master" with_debug_programs ./scripts/check_locust.sh
  step "commands of the manifests" with_debug_programs ./scripts/check_manifests.sh --run
  if command_exists cargo-deny; then
    step "licenses and advisories" run cargo deny --locked check
  fi
  if command_exists shellcheck; then
    step "shell scripts" run shellcheck -x scripts/*.sh scripts/lib/*.sh deploy/postgres/*.sh deploy/k8s/*.sh .ci/run
  fi
  if command_exists docker-compose; then
    step "compose file" run docker-compose -f docker-compose.local.yml --profile load --profile workers --profile replicas \
      --profile upgrade --profile observability config --quiet
  fi
  if command_exists actionlint; then
    step "workflows" run actionlint
  fi
  if command_exists zizmor; then
    step "security of the workflows" run zizmor --offline --quiet .github
  fi
  if command_exists cargo-mutants; then
    step "faults that no test detects" run ./scripts/mutants.sh
  else
    log "faults that no test detects: skipped; cargo install cargo-mutants --locked"
  fi
}

# Usage: step <name> <command>… A failed step does not stop the next ones.
step() {
  local name=$1 started_at=$SECONDS result=passed
  shift
  printf '\n== %s\n' "$name"
  "$@" || {
    result=FAILED
    FAILED=1
  }
  SUMMARY+=$(printf '%-6s %4d s  %s' "$result" "$((SECONDS - started_at))" "$name")$'\n'
  printf '== %s %s after %d s\n' "$name" "$result" "$((SECONDS - started_at))"
}

clean_up() {
  stop_children
  release_services
}

main "$@"
