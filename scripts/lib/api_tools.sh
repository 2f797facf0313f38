# shellcheck shell=bash
# Tools of other projects for the OpenAPI description, and a service with test data for them. Sourced after service.sh.

# Usage: install_python_tools <directory> <requirement>… Into a virtual environment, unless it has just these.
install_python_tools() {
  local directory=$1
  shift
  [ "$(cat "$directory/requirements.txt" 2>/dev/null)" = "$*" ] && return
  log "Installing $* into $directory"
  rm -rf "$directory"
  python3 -m venv "$directory" || fail "requires Python 3 with venv (Debian package python3-venv)"
  run "$directory/bin/pip" install --quiet "$@"
  printf '%s' "$*" >"$directory/requirements.txt"
}

# Usage: install_node_tools <directory> <package@version>… Unless it has just these.
install_node_tools() {
  local directory=$1
  shift
  [ "$(cat "$directory/requirements.txt" 2>/dev/null)" = "$*" ] && return
  command_exists npm || install_packages nodejs npm
  log "Installing $* into $directory"
  rm -rf "$directory"
  mkdir -p "$directory"
  printf '{"private":true,"type":"module"}\n' >"$directory/package.json"
  run npm install --prefix "$directory" --no-audit --no-fund --loglevel=error "$@" >&2
  printf '%s' "$*" >"$directory/requirements.txt"
}

# Usage: start_seeded_service <name> <log>. Starts a debug build with open access on a database of its own with the default
# test data. Sets PORT and the pid SERVICE. Requires acquire_services.
start_seeded_service() {
  local base=${DATABASE_URL%%\?*} url
  if [ -z "${BIN:-}" ]; then
    run env SQLX_OFFLINE=true cargo build --locked --workspace --bins
    BIN=$(target_directory)/debug
  fi
  SEEDED_DATABASE=plant_$1_$$
  PGOPTIONS='-c client_min_messages=warning' psql -X -q -d "$DATABASE_URL" -c "create database $SEEDED_DATABASE"
  url=${base%/*}/$SEEDED_DATABASE${DATABASE_URL#"$base"}
  run env DATABASE_URL="$url" "$BIN/plant-api" migrate
  run env DATABASE_URL="$url" "$BIN/seed_test_data" --agents=100 --skills=50
  PORT=$(free_port 8103)
  start_service "$PORT" "$2" DATABASE_URL="$url"
}

# Stops the service, like all other children, and drops its database.
stop_seeded_service() {
  stop_children
  [ -n "${SEEDED_DATABASE:-}" ] || return 0
  ignoring_signals psql -X -q -d "$DATABASE_URL" -c "drop database $SEEDED_DATABASE with (force)" || true
  SEEDED_DATABASE=
}
