# shellcheck shell=bash
# The programs of this project. Sourced by the scripts that run them, after packages.sh.

# Usage: find_program [name]. Prints the path of a program, by default plant-loadtest: on the PATH, or of the newest build.
find_program() {
  local name=${1:-plant-loadtest} builds=${CARGO_TARGET_DIR:-$ROOT/target} program
  if command_exists "$name"; then
    command -v "$name"
    return
  fi
  program=$(ls -t "$builds"/{demo,release,debug}/"$name" 2>/dev/null | head -n 1)
  [ -n "$program" ] || fail "$name is not built; run 'cargo build --release' or ./scripts/demo.sh first"
  printf '%s\n' "$program"
}
