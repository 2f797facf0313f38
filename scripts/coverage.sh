#!/usr/bin/env bash
# Measures which lines the tests execute, with cargo-llvm-cov, and prints the share of each folder.
#
#   scripts/coverage.sh                      run the tests and write reports/coverage/: html/, lcov.info, summary.md
#   scripts/coverage.sh --summary LCOV       print the table of an lcov file, and run nothing
#
# Lines of the tests themselves do not count. Needs `cargo install cargo-llvm-cov --locked` and `rustup component add llvm-tools`.
# Compiles everything with instrumentation in target/llvm-cov-target, and takes about twice the time of the tests.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"

REPORTS=reports/coverage
# Unit tests are in files and folders of these names; cargo-llvm-cov leaves out integration tests, benchmarks and examples.
TESTS='/src/(.*/)?(tests|testing)(\.rs$|/)'

main() {
  cd "$ROOT"
  case ${1:-} in
    '') measure ;;
    --summary) summary "${2:?}" ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/coverage.sh" ;;
  esac
}

measure() {
  local code=0
  require_rust
  command_exists cargo-llvm-cov || fail "cargo-llvm-cov is not installed: cargo install cargo-llvm-cov --locked"
  at_exit clean_up
  acquire_services
  rm -rf "$REPORTS"
  mkdir -p "$REPORTS"
  # A failed test must not hide which lines the others execute.
  run env SQLX_OFFLINE=true cargo llvm-cov --no-report --workspace --locked --no-fail-fast || code=$?
  run cargo llvm-cov report --ignore-filename-regex "$TESTS" --lcov --output-path "$REPORTS/lcov.info"
  run cargo llvm-cov report --ignore-filename-regex "$TESTS" --html --output-dir "$REPORTS"
  summary "$REPORTS/lcov.info" | tee "$REPORTS/summary.md"
  return "$code"
}

# Usage: summary <lcov file>. Prints a Markdown table: lines, executed lines and their share, of all, of crates and of their folders.
summary() {
  printf '## Line coverage\n\n| code | lines | executed | share |\n|---|---:|---:|---:|\n'
  awk -v root="$ROOT/" '
    /^SF:/ {
      path = substr($0, 4)
      if (index(path, root) == 1) path = substr(path, length(root) + 1)
      count = split(path, part, "/")
      crate = part[1] "/"
      folder = crate part[2] "/" (count > 3 ? part[3] "/" : "")
    }
    /^L[FH]:/ {
      kind = substr($0, 1, 2)
      n = substr($0, 4)
      total["0 **all**", kind] += n
      total["1 **" crate "**", kind] += n
      total["2 " folder, kind] += n
      seen["0 **all**"]; seen["1 **" crate "**"]; seen["2 " folder]
    }
    END {
      for (row in seen) {
        lines = total[row, "LF"]
        if (lines > 0) printf "%s\t| %s | %d | %d | %.1f %% |\n", row, substr(row, 3), lines, total[row, "LH"], 100 * total[row, "LH"] / lines
      }
    }' "$1" | LC_ALL=C sort | cut -f 2
}

clean_up() {
  stop_children
  release_services
}

main "$@"
