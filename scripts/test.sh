#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, SQL against the migrated schema, tests.
#
#   scripts/test.sh [--long]    --long adds the checks whose tools happen to be installed
#
# PostgreSQL and Redis are started when they do not run, and then stopped again at the end.
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
    *) fail "what is '$1'? See the head of scripts/test.sh" ;;
  esac
  cd "$ROOT"
  at_exit clean_up
  step "services" borrow_services
  step "toolchain" need_rust
  step "format" run cargo fmt --all --check
  step "lints and SQL" run ./scripts/prepare_sql.sh --check
  # From the committed .sqlx/, as anybody builds it who has no database.
  step "tests" run env SQLX_OFFLINE=true cargo test --workspace --locked
  if [ "${1:-}" = --long ]; then
    long_steps
  fi
  printf '\n%s' "$SUMMARY"
  return "$FAILED"
}

long_steps() {
  if have cargo-deny; then
    step "licences and advisories" run cargo deny --locked check
  fi
  if have shellcheck; then
    step "shell scripts" run shellcheck -x scripts/*.sh scripts/lib/*.sh .ci/run
  fi
}

# Usage: step <name> <command>… A failed step does not keep the next from telling more.
step() {
  local name=$1 began=$SECONDS result=passed
  shift
  printf '\n== %s\n' "$name"
  "$@" || {
    result=FAILED
    FAILED=1
  }
  SUMMARY+=$(printf '%-6s %4d s  %s' "$result" "$((SECONDS - began))" "$name")$'\n'
  printf '== %s %s after %d s\n' "$name" "$result" "$((SECONDS - began))"
}

clean_up() {
  stop_children
  give_services_back
}

main "$@"
