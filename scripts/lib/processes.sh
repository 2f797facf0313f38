# shellcheck shell=bash
# Processes, users, ports and locks. Sourced by the other scripts.

# Usage: with_lock <command>… Serializes changes to the services of this checkout.
with_lock() {
  mkdir -p "$ROOT/.plant"
  exec 9>"$ROOT/.plant/services.lock"
  lock 9
  "$@"
}

USERS_LOCK=$ROOT/.plant/services.users

# Starts PostgreSQL and Redis if necessary, and exports DATABASE_URL and REDIS_URL. Each script holds a shared lock until
# release_services, so that only the last of several scripts stops the services that were not running before.
acquire_services() {
  local urls
  mkdir -p "$ROOT/.plant"
  exec 8>>"$USERS_LOCK"
  lock 8 -s
  "$ROOT/scripts/services.sh" acquire 8>&- || exit # close descriptor 8, or the servers would hold the lock too
  urls=$("$ROOT/scripts/services.sh" env) || exit
  eval "$urls"
  export DATABASE_URL REDIS_URL
}

release_services() {
  exec 8>&-
  ignoring_signals "$ROOT/scripts/services.sh" release
}

# Usage: lock <descriptor> [-s] [-n]: like flock(1), which macOS lacks. The lock is held until the descriptor is closed.
lock() {
  local descriptor=$1 operation=2
  shift
  if command_exists flock; then
    flock "$@" "$descriptor"
  else
    case " $* " in *" -s "*) operation=1 ;; esac
    case " $* " in *" -n "*) operation=$((operation + 4)) ;; esac
    perl -e 'open(my $file, ">&=", $ARGV[0]) && flock($file, $ARGV[1]) or exit 1' "$descriptor" "$operation"
  fi
}

# Usage: run_as <user> <command>… Runs it in `/`, which every user can access.
run_as() {
  local user=$1
  shift
  (
    cd /
    umask 077
    if [ "$user" = "$(id -un)" ]; then
      "$@"
    else
      runuser -u "$user" -- "$@"
    fi
  )
}

# Usage: write_as <user> <file>. Writes standard input to the file.
write_as() {
  # shellcheck disable=SC2016 # the inner shell expands it
  run_as "$1" sh -c 'cat >"$1"' write "$2"
}

# Usage: unprivileged_user <user>… As root, prints the first of these users that exists (PostgreSQL refuses to run as
# root); otherwise prints the current user.
unprivileged_user() {
  local user
  if [ "$(id -u)" != 0 ]; then
    id -un
    return
  fi
  for user in "$@" nobody; do
    if id "$user" >/dev/null 2>&1; then
      printf '%s\n' "$user"
      return
    fi
  done
}

# Usage: has_working_directory <pid> <directory> <user>. Identifies a process: after a crash, its pid may be reused.
has_working_directory() {
  local current
  if [ -d /proc/self ]; then
    # As the user of the process: in a container, root may lack access to processes of other users.
    current=$(run_as "$3" readlink "/proc/$1/cwd" 2>/dev/null) || return 1
  else
    current=$(lsof -a -p "$1" -d cwd -Fn 2>/dev/null | sed -n 's/^n//p') || return 1
  fi
  [ -n "$current" ] && [ "$current" -ef "$2" ]
}

# Usage: pids_in_directory <directory> <user>. Prints the pids of all processes with this working directory.
pids_in_directory() {
  if [ -d /proc/self ]; then
    # shellcheck disable=SC2016 # the inner shell expands it
    run_as "$2" sh -c 'for pid in /proc/[0-9]*; do
      if [ "$(readlink "$pid/cwd" 2>/dev/null)" = "$1" ]; then echo "${pid#/proc/}"; fi
    done' pids_in_directory "$1"
  else
    lsof -t -a -d cwd "$1" 2>/dev/null || true
  fi
}

# Usage: is_alive <pid, or -group>. A zombie does not count; in many containers no process reaps them.
is_alive() {
  kill -0 -- "$1" 2>/dev/null || return 1
  [ -d /proc/self ] || return 0
  case $1 in
    -*) cat /proc/[0-9]*/stat 2>/dev/null ;;
    *) cat "/proc/$1/stat" 2>/dev/null ;;
  esac | sed 's/^.*) //' | awk -v group="${1#-}" -v any="${1##-*}" \
    '$1 != "Z" && (any != "" || $3 == group) { found = 1 } END { exit !found }'
}

# Usage: wait_until <seconds> <command>… Waits until the command succeeds; fails on timeout.
wait_until() {
  local attempts=$(($1 * 10))
  shift
  until "$@"; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || return 1
    sleep 0.1
  done
}

# Usage: wait_for_exit <pid, or -group> <seconds>. Fails on timeout.
wait_for_exit() {
  wait_until "$2" has_exited "$1"
}

has_exited() {
  ! is_alive "$1"
}

# Usage: is_port_in_use <port>
is_port_in_use() {
  (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Usage: port_owner <port>. Prints the process that listens on the port, if visible: "nginx (pid 321)".
port_owner() {
  local socket pid
  if [ ! -r /proc/net/tcp ]; then
    lsof -nP -sTCP:LISTEN -iTCP:"$1" 2>/dev/null | awk 'NR == 2 { printf "%s (pid %s)\n", $1, $2 }'
    return
  fi
  socket=$(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v port="$(printf '%04X' "$1")" '$4 == "0A" && $2 ~ ":" port "$" { print $10; exit }')
  for pid in /proc/[0-9]*; do
    if find "$pid/fd" -maxdepth 1 -lname "socket:\[$socket\]" 2>/dev/null | grep -q .; then
      printf '%s (pid %s)\n' "$(cat "$pid/comm")" "${pid#/proc/}"
      return
    fi
  done
  printf 'a process of another user\n'
}

# Starts a command in the background, in its own process group, so that `stop_children` stops its children too.
CHILDREN=
start() {
  set -m
  "$@" </dev/null 8>&- &
  set +m
  CHILDREN="$! $CHILDREN"
}

# Like `start`, but waits until the command exits. A trapped signal ends the wait.
run() {
  local code=0
  start "$@"
  wait "$!" || code=$?
  CHILDREN=${CHILDREN#"$! "}
  return "$code"
}

# Stops all children, newest first. 25 seconds are enough for the service to drain.
stop_children() {
  local pid
  for pid in $CHILDREN; do
    kill -TERM -- "-$pid" 2>/dev/null || true
    wait_for_exit "-$pid" 25 || kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  CHILDREN=
}

# Usage: at_exit <function>. Calls it once at exit, also after a signal; a second Ctrl-C does not interrupt it.
at_exit() {
  # shellcheck disable=SC2064 # expand the name now
  trap "trap : HUP INT TERM; $1" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Usage: ignoring_signals <command>… Ctrl-C does not interrupt it.
ignoring_signals() {
  (
    trap '' HUP INT TERM
    "$@"
  )
}
