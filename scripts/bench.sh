#!/usr/bin/env bash
# Runs the microbenchmarks and compares them with their thresholds; writes benchmark.json.
#
#   scripts/bench.sh                        measure and print the table
#   scripts/bench.sh --save-baseline NAME   also save the result as the baseline NAME
#   scripts/bench.sh --baseline NAME        also print the changes since the baseline NAME
#   scripts/bench.sh FILTER                 run only the groups whose name contains FILTER
#
# The benchmarks of certification in PostgreSQL and of the performance agent's routes require DATABASE_URL, and create
# their own databases. Start a server with `scripts/services.sh up` and `export $(scripts/services.sh env)`.
# Exit code 1 if a threshold is violated.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

main() {
  cd "$ROOT"
  require_rust
  [ -n "${DATABASE_URL:-}" ] || log "skipping the benchmarks that need PostgreSQL: DATABASE_URL is not set"
  export CRITERION_HOME=${CRITERION_HOME:-$ROOT/target/criterion}
  # Delete results of earlier runs, which the table would show for benchmarks that this run skips; keep baselines.
  find "$CRITERION_HOME" -type d -name new -prune -exec rm -rf {} + 2>/dev/null || true
  cargo bench --locked -p plant-api --bench plant -- --noplot "$@"
  cargo run --release --locked -q -p plant-api --example bench_table -- "$CRITERION_HOME" benchmark.json
}

main "$@"
