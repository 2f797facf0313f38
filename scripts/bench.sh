#!/usr/bin/env bash
# Measures what the parts cost and holds it against the targets; writes benchmark.json.
#
#   scripts/bench.sh                        measure, print the table
#   scripts/bench.sh --save-baseline NAME   the same, and keep the result under this name
#   scripts/bench.sh --baseline NAME        the same, and say what changed since
#   scripts/bench.sh FILTER                 only groups whose name contains this
#
# Certification through the database is measured where DATABASE_URL is set, on a database of its own; start one with
# `scripts/services.sh up` and `export $(scripts/services.sh env)`. Exit code 1 when a target is missed.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

main() {
  cd "$ROOT"
  need_rust
  [ -n "${DATABASE_URL:-}" ] || say "certification through the database is skipped: DATABASE_URL is not set"
  export CRITERION_HOME=${CRITERION_HOME:-$ROOT/target/criterion}
  # What an earlier run measured must not stand in the table for what this one leaves out; baselines stay.
  find "$CRITERION_HOME" -type d -name new -prune -exec rm -rf {} + 2>/dev/null || true
  cargo bench --locked -p plant-api --bench plant -- --noplot "$@"
  cargo run --release --locked -q -p plant-api --example bench_table -- "$CRITERION_HOME" benchmark.json
}

main "$@"
