# shellcheck shell=bash
# Processes, users, ports and locks. Sourced, never run.

# Usage: locked <command>… Waits while another run of the script changes things for the same checkout.
locked() {
  mkdir -p "$ROOT/.plant"
  exec 9>"$ROOT/.plant/services.lock"
  lock 9
  "$@"
}

BORROWERS=$ROOT/.plant/borrowers

# For the length of this script, PostgreSQL and Redis run and DATABASE_URL and REDIS_URL are set. Borrowers hold a
# shared lock, so that only the last of several scripts stops what was not running before.
borrow_services() {
  local urls
  mkdir -p "$ROOT/.plant"
  exec 8>>"$BORROWERS"
  lock 8 -s
  "$ROOT/scripts/services.sh" lend 8>&- || exit # without 8, or the servers would hold the lock as well
  urls=$("$ROOT/scripts/services.sh" env) || exit
  eval "$urls"
  export DATABASE_URL REDIS_URL
}

give_services_back() {
  exec 8>&-
  undisturbed "$ROOT/scripts/services.sh" give-back
}

# Usage: lock <descriptor> [-s] [-n]: like flock(1), which macOS lacks. Held until the descriptor is closed.
lock() {
  local descriptor=$1 operation=2
  shift
  if have flock; then
    flock "$@" "$descriptor"
  else
    case " $* " in *" -s "*) operation=1 ;; esac
    case " $* " in *" -n "*) operation=$((operation + 4)) ;; esac
    perl -e 'open(my $file, ">&=", $ARGV[0]) && flock($file, $ARGV[1]) or exit 1' "$descriptor" "$operation"
  fi
}

# Usage: run_as <user> <command>… in a folder that everybody may enter.
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

# Usage: write_as <user> <file>: what it reads.
write_as() {
  # shellcheck disable=SC2016 # the inner shell expands it
  run_as "$1" sh -c 'cat >"$1"' write "$2"
}

# The first of the named users that exists when root (PostgreSQL refuses to run as root), else the caller.
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

# Usage: works_in <pid> <folder> <user>. A pid alone proves nothing: after a crash it may be somebody else's.
works_in() {
  local current
  if [ -d /proc/self ]; then
    # As the process's own user, because root in a container may not look into other users' processes.
    current=$(run_as "$3" readlink "/proc/$1/cwd" 2>/dev/null) || return 1
  else
    current=$(lsof -a -p "$1" -d cwd -Fn 2>/dev/null | sed -n 's/^n//p') || return 1
  fi
  [ -n "$current" ] && [ "$current" -ef "$2" ]
}

# Usage: all_in <folder> <user>: the pids of all processes that work in the folder.
all_in() {
  if [ -d /proc/self ]; then
    # shellcheck disable=SC2016 # the inner shell expands it
    run_as "$2" sh -c 'for pid in /proc/[0-9]*; do
      if [ "$(readlink "$pid/cwd" 2>/dev/null)" = "$1" ]; then echo "${pid#/proc/}"; fi
    done' all_in "$1"
  else
    lsof -t -a -d cwd "$1" 2>/dev/null || true
  fi
}

# Usage: is_alive <pid, or -group>. A zombie that nobody collects, as in many containers, is not.
is_alive() {
  kill -0 -- "$1" 2>/dev/null || return 1
  [ -d /proc/self ] || return 0
  case $1 in
    -*) cat /proc/[0-9]*/stat 2>/dev/null ;;
    *) cat "/proc/$1/stat" 2>/dev/null ;;
  esac | sed 's/^.*) //' | awk -v group="${1#-}" -v any="${1##-*}" \
    '$1 != "Z" && (any != "" || $3 == group) { found = 1 } END { exit !found }'
}

# Usage: gone <pid, or -group> <seconds>
gone() {
  local tries=$(($2 * 10))
  while is_alive "$1"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.1
  done
}

is_taken() {
  (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Who listens on a port, as far as we may know: "nginx (pid 321)".
holder_of() {
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

# Runs a command in a process group of its own, so that `stop_children` ends all that it began.
CHILDREN=
start() {
  set -m
  "$@" </dev/null 8>&- &
  set +m
  CHILDREN="$! $CHILDREN"
}

# The same, and waits for its end. A signal that is trapped cuts the waiting short.
run() {
  local code=0
  start "$@"
  wait "$!" || code=$?
  CHILDREN=${CHILDREN#"$! "}
  return "$code"
}

# The youngest first; 25 seconds are enough for a service that drains.
stop_children() {
  local pid
  for pid in $CHILDREN; do
    kill -TERM -- "-$pid" 2>/dev/null || true
    gone "-$pid" 25 || kill -KILL -- "-$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  CHILDREN=
}

# Usage: at_exit <function>. Called once, however the script ends, and not cut short by a second Ctrl-C.
at_exit() {
  # shellcheck disable=SC2064 # the name is known now
  trap "trap : HUP INT TERM; $1" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Usage: undisturbed <command>…, which no Ctrl-C reaches.
undisturbed() {
  (
    trap '' HUP INT TERM
    "$@"
  )
}
