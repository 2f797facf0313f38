# shellcheck shell=bash
# The load-test program. Sourced by the scripts that run it, after packages.sh.

# Prints the path of plant-loadtest: on the PATH, or of the newest build.
find_program() {
  local program
  if command_exists plant-loadtest; then
    command -v plant-loadtest
    return
  fi
  # shellcheck disable=SC2012 # the names are known; only their order is asked for
  program=$(ls -t "$ROOT"/target/{demo,release,debug}/plant-loadtest 2>/dev/null | head -n 1)
  [ -n "$program" ] || fail "plant-loadtest is not built; run 'cargo build --release' or ./scripts/demo.sh first"
  printf '%s\n' "$program"
}
