# shellcheck shell=bash
# Starts the service and sends it requests. Sourced after processes.sh.

# Usage: wait_until_ready <pid> <port> <log>. Waits up to 30 s for /readyz.
wait_until_ready() {
  wait_until 30 is_ready_or_exited "$1" "$2" || true
  if ! is_ready "$2"; then
    tail -n 20 "$3" >&2
    fail "the service did not become ready; see $3"
  fi
}

is_ready_or_exited() {
  is_ready "$2" || ! kill -0 "$1" 2>/dev/null
}

# Usage: is_ready <port>. Does not require curl.
is_ready() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
    read -r -t 2 status_line <&3
    [[ $status_line = *' 200 '* ]]
  ) 2>/dev/null
}

# Usage: fetch_body <port> <path>. Prints the response body. By HTTP/1.0, in which no body is chunked.
fetch_body() {
  (
    exec 3<>"/dev/tcp/127.0.0.1/$1"
    printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
    timeout 5 cat <&3
  ) | sed '1,/^\r$/d'
}

# Usage: free_port <first>. Prints the first port from <first> on that is not in use.
free_port() {
  local port
  for port in $(seq "$1" $(($1 + 99))); do
    if ! is_port_in_use "$port"; then
      printf '%s\n' "$port"
      return
    fi
  done
  fail "no port from $1 to $(($1 + 99)) is free"
}

# Usage: start_dedicated_services <name>. Starts a PostgreSQL and a Redis for this script only, and exports DATABASE_URL
# (of the schema owner) and REDIS_URL. Fails if another script with this name is running in this checkout.
start_dedicated_services() {
  local urls
  mkdir -p "$ROOT/.plant"
  exec 8>>"$ROOT/.plant/$1.lock"
  lock 8 -n || fail "another run of this script is in progress in this checkout"
  unset DATABASE_URL REDIS_URL
  export PLANT_SERVICES=$1
  "$ROOT/scripts/services.sh" up --quiet 8>&- || exit
  urls=$("$ROOT/scripts/services.sh" env) || exit
  eval "$urls"
  export DATABASE_URL REDIS_URL
}

destroy_dedicated_services() {
  [ -z "${PLANT_SERVICES:-}" ] || "$ROOT/scripts/services.sh" destroy --quiet
}

# Usage: build_release <cargo argument>… Sets BIN to the directory of the programs, unless it is set.
build_release() {
  [ -z "${BIN:-}" ] || return 0
  require_rust
  run env SQLX_OFFLINE=true cargo build --release --locked --workspace "$@"
  BIN=$(target_directory)/release
}

# Usage: start_service <port> <log> [VARIABLE=value]… Sets SERVICE to its pid.
start_service() {
  local port=$1 log=$2
  shift 2
  start env PLANT_LISTEN="127.0.0.1:$port" PLANT_ACCESS=open ENVIRONMENT=development LOG_FILE= LOG_LEVEL=info "$@" \
    "$BIN/plant-api" serve >"$log" 2>&1
  SERVICE=$!
  wait_until_ready "$SERVICE" "$port" "$log"
}

# Sets BIN to the directory of the newest build of plant-api, unless it is set.
find_version() {
  if [ -z "$BIN" ]; then
    # shellcheck disable=SC2012 # the newest of three known paths
    BIN=$(ls -t "$ROOT"/target/{demo,release,debug}/plant-api 2>/dev/null | head -n 1 || true)
    BIN=${BIN%/*}
  fi
  [ -x "$BIN/plant-api" ] || fail "plant-api is not built; run 'cargo build --release' first, or give --bin"
}

# Prints the CPU use of the whole machine during one second, in percent.
busy_percent() {
  {
    head -n 1 /proc/stat
    sleep 1
    head -n 1 /proc/stat
  } | awk '{ idle = $5 + $6; all = 0; for (i = 2; i <= 9; i++) all += $i }
    NR == 1 { idle_before = idle; all_before = all }
    END { printf "%d\n", 100 - 100 * (idle - idle_before) / (all - all_before) }'
}
