# shellcheck shell=bash
# Measures one or two versions of the service in alternation with wrk. Sourced after service.sh and wrk.sh by scripts that set WORK, a
# directory for their files.

SECONDS_EACH=5
ROUNDS=3
CONNECTIONS=64
POOL_SIZE=14
BEFORE=

# Reads --seconds, --rounds and --before; the rest is left in REST.
read_arguments() {
  REST=()
  while [ $# -gt 0 ]; do
    case $1 in
      --seconds) SECONDS_EACH=$2 && shift ;;
      --rounds) ROUNDS=$2 && shift ;;
      --before) BEFORE=$(cd "$2" && pwd -P) && shift ;;
      *) REST+=("$1") ;;
    esac
    shift
  done
}

# Builds this version unless BIN is set, and starts PostgreSQL and Redis.
# Usage: prepare <name of the services>
prepare() {
  command_exists wrk || install_packages wrk
  rm -rf "$WORK"
  mkdir -p "$WORK"
  at_exit clean_up
  log "Build, PostgreSQL, Redis"
  build_release --bins
  start_dedicated_services "$1"
  run "$BIN/plant-api" migrate >/dev/null
}

# Usage: start_versions [VARIABLE=value]… Starts a service of each version on the same database.
start_versions() {
  local now=$BIN
  declare -gA PORTS=() PIDS=()
  [ -z "$BEFORE" ] || BIN=$BEFORE start_version before "$@"
  BIN=$now start_version now "$@"
}

start_version() {
  local version=$1 port
  shift
  port=$(free_port 18100)
  start_service "$port" "$WORK/$version.log" DATABASE_POOL_SIZE="$POOL_SIZE" "$@"
  PORTS[$version]=$port PIDS[$version]=$SERVICE
}

# Usage: measure <version> <what> <data> <Lua script> <path> [argument of the script]…
measure() {
  local version=$1 what=$2 data=$3 script=$4 url=http://127.0.0.1:${PORTS[$1]}$5
  shift 5
  measure_wrk "${PIDS[$version]}" -s "$script" "$url" -- "$@"
  # what data version requests/s p50 p99 cpu-microseconds failed
  printf '%s %s %s %s\n' "$what" "$data" "$version" "$RESULT" | tee -a "$WORK/measurements" >&2
}

# Prints the versions that are measured.
versions() {
  printf '%s\n' ${BEFORE:+before} now
}

# Usage: table <what> <data>: prints the medians with these titles of the first two columns.
table() {
  python3 - "$WORK/measurements" "$@" <<'PYTHON'
import collections, statistics, sys

path, what_title, data_title = sys.argv[1:]
values = collections.defaultdict(list)
for line in open(path):
    what, data, version, *numbers = line.split()
    values[what, data, version].append([float(number) for number in numbers])
medians = {key: [statistics.median(column) for column in zip(*rows)] for key, rows in values.items()}
print(f"| {what_title} | {data_title} | version | requests/s | P50 ms | P99 ms | CPU µs per request | ratio |")
print("|---|---:|---|---:|---:|---:|---:|---:|")
for (what, data, version), (rate, p50, p99, cpu, failed) in medians.items():
    before = medians.get((what, data, "before"))
    ratio = f"{rate / before[0]:.2f}" if before and version == "now" else "–"
    note = f" **{failed:.0f} failed**" if failed else ""
    print(f"| {what} | {data} | {version} | {rate:.0f}{note} | {p50:.2f} | {p99:.2f} | {cpu:.1f} | {ratio} |")
PYTHON
}

clean_up() {
  stop_children
  destroy_dedicated_services
}
