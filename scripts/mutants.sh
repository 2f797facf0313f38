#!/usr/bin/env bash
# Puts faults into the code, one at a time, and reports those that no test detects. Needs cargo-mutants:
# cargo install cargo-mutants --locked
#
#   scripts/mutants.sh [module]…    all modules of .cargo/mutants.toml, or some of them: `plant-api/auth`, `verdict`
#
# First only the tests of the fault's module run, then all tests of the library for the faults that these did not detect.
# Accepted survivors are listed in .cargo/mutants.toml, each with its reason. PLANT_MUTANTS_SHARD=K/N tests only the K-th of
# N parts of the faults, K from 0. Results: .plant/mutants/results/*.txt. Exit code 1 if faults survived.
#
# The script works on a copy of the checkout, with its own build directory, which is kept for the next run, and for
# modules of plant-api its own PostgreSQL and Redis.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/processes.sh
. "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/service.sh
. "$ROOT/scripts/lib/service.sh"

WORK=$ROOT/.plant/mutants
RESULTS=$WORK/results
TREE=$WORK/tree

main() {
  local module modules=() missed=() packages=()
  cd "$ROOT"
  require_rust
  command_exists cargo-mutants || fail "cargo-mutants is missing; run 'cargo install cargo-mutants --locked'"
  mapfile -t modules < <(select_modules "$@")
  [ ${#modules[@]} -gt 0 ] || fail "no such module; .cargo/mutants.toml names all of them"
  at_exit clean_up
  case " ${modules[*]}" in *" plant-api/"*) start_services ;; esac
  copy_checkout
  rm -rf "$RESULTS"
  mkdir -p "$RESULTS"
  for module in "${modules[@]}"; do
    log "$module: its own tests"
    # shellcheck disable=SC2046
    cargo_mutants --package "${module%/*}" --sharding round-robin --shard "${PLANT_MUTANTS_SHARD:-0/1}" $(exclude_others "$module") -- "${module#*/}"
    collect caught timeout unviable
    cat "$WORK/mutants.out/missed.txt" >>"$WORK/missed-by-own-tests.txt"
  done
  # shellcheck disable=SC2016 # the $ is a character of the regular expression
  mapfile -t missed < <(sed 's/[][\.*^$(){}?+|/]/\\&/g; s/.*/^&$/' "$WORK/missed-by-own-tests.txt")
  if [ ${#missed[@]} -gt 0 ]; then
    log "${#missed[@]} faults left: all tests"
    mapfile -t packages < <(printf -- '--package=%s\n' "${modules[@]%/*}" | sort -u)
    cargo_mutants "${packages[@]}" "${missed[@]/#/--re=}"
    collect caught missed timeout unviable
  fi
  report
}

# Prints the modules that .cargo/mutants.toml names, as package/module.
list_modules() {
  sed -n 's/^ *"\(plant-[a-z]*\)\/src\/\([a-z_]*\)[.\/].*/\1\/\2/p' .cargo/mutants.toml | sort -u
}

# Usage: select_modules [module]… Prints the modules with these names, with or without their package; all without names.
select_modules() {
  local name
  [ $# -gt 0 ] || list_modules
  for name in "$@"; do
    list_modules | grep -E "^(.*/)?$name$" || true
  done
}

start_services() {
  start_dedicated_services mutants
  # Each test creates a database; what a power failure would lose is not needed.
  superuser_sql "alter system set fsync = off" "alter system set full_page_writes = off" "select pg_reload_conf()"
}

# Usage: exclude_others <module>: prints options that leave only the module's faults.
exclude_others() {
  list_modules | grep -vx "$1" | sed 's/\(.*\)\/\(.*\)/--exclude=\1\/src\/\2.rs --exclude=\1\/src\/\2\/**/'
}

copy_checkout() {
  mkdir -p "$TREE"
  find "$TREE" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
  find . -mindepth 1 -maxdepth 1 ! -name target ! -name .git ! -name .plant -exec cp -a {} "$TREE" \;
  : >"$WORK/missed-by-own-tests.txt"
}

# Exit codes 2 and 3 say that faults survived or timed out, which `report` does.
cargo_mutants() {
  local code=0
  run env CARGO_TARGET_DIR="$WORK/target" CARGO_PROFILE_DEV_DEBUG=0 SQLX_OFFLINE=true RUST_BACKTRACE=0 \
    cargo mutants --dir "$TREE" --in-place --output "$WORK" --colors never "$@" || code=$?
  case $code in
    0 | 2 | 3) ;;
    *) fail "cargo mutants failed with exit code $code; see $WORK/mutants.out/log" ;;
  esac
}

# Usage: collect <outcome>… Appends the lists of the last run to those of all runs.
collect() {
  local outcome
  for outcome in "$@"; do
    cat "$WORK/mutants.out/$outcome.txt" >>"$RESULTS/$outcome.txt"
  done
}

report() {
  local caught missed
  caught=$(cat "$RESULTS/caught.txt" "$RESULTS/timeout.txt" | wc -l)
  # shellcheck disable=SC2002 # without the file there are none
  missed=$(cat "$RESULTS/missed.txt" 2>/dev/null | wc -l)
  printf '\n%d faults: %d detected, %d by a time-out; %d not detected\n' \
    "$((caught + missed))" "$caught" "$(wc -l <"$RESULTS/timeout.txt")" "$missed"
  if [ "$missed" -gt 0 ]; then
    cat "$RESULTS/missed.txt"
    return 1
  fi
}

superuser_sql() {
  local statement
  for statement in "$@"; do
    "$ROOT/scripts/services.sh" psql -q -c "$statement" >/dev/null
  done
}

clean_up() {
  stop_children
  destroy_dedicated_services
}

main "$@"
