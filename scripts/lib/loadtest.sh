# shellcheck shell=bash
# The programs of this project. Sourced by the scripts that run them, after packages.sh.

# Usage: find_program <name>. Prints the path of a program: on the PATH, or of the newest build.
find_program() {
  local name=$1 builds=${CARGO_TARGET_DIR:-$ROOT/target} program='' candidate
  if command_exists "$name"; then
    command -v "$name"
    return
  fi
  for candidate in "$builds"/{demo,release,debug}/"$name"; do
    if [ -x "$candidate" ] && { [ -z "$program" ] || [ "$candidate" -nt "$program" ]; }; then
      program=$candidate
    fi
  done
  [ -n "$program" ] || fail "$name is not built; run 'cargo build --release' or ./scripts/demo.sh first"
  printf '%s\n' "$program"
}
