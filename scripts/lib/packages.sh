# shellcheck shell=bash
# Logging, checks for installed programs, and package installation. Sourced by the other scripts.

INSTALL_LOG=${ROOT:?}/.plant/install.log

# Prints to standard error, unless QUIET is set.
log() {
  if [ -z "${QUIET:-}" ]; then
    printf '%s\n' "$*" >&2
  fi
}

# Prints an error and exits with 1.
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

command_exists() {
  command -v "$1" >/dev/null 2>&1
}

# Ensures that Cargo, and the C compiler and linker for native dependencies, are available.
require_rust() {
  command_exists cargo || PATH=$HOME/.cargo/bin:$PATH
  command_exists cargo || fail "Rust is not installed; install it from https://rustup.rs and run this again"
  command_exists cc || install_packages gcc libc6-dev
}

# Prints the directory of what Cargo builds in the current checkout.
target_directory() {
  cargo metadata --format-version 1 --no-deps --locked | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
}

# Prints the directories of installed PostgreSQL server programs, newest version first.
postgresql_bin_directories() {
  {
    compgen -G '/usr/lib/postgresql/*/bin' | sort -t / -k 5 -n -r
    if command_exists brew; then
      compgen -G "$(brew --prefix)/opt/postgresql*/bin" | sort -t @ -k 2 -n -r
    fi
    dirname "$(command -v initdb || true)"
  } | while read -r directory; do
    if [ -x "$directory/initdb" ] && [ -x "$directory/pg_ctl" ] && [ -x "$directory/psql" ]; then
      printf '%s\n' "$directory"
    fi
  done
}

# Installs packages, given by their Debian names, without starting the services in them.
install_packages() {
  mkdir -p "${INSTALL_LOG%/*}"
  if command_exists apt-get; then
    install_with_apt "$@"
  elif command_exists brew; then
    install_with_brew "$@"
  else
    fail "missing packages: $*; only apt-get and Homebrew are supported: install them manually and run this again"
  fi
}

install_with_apt() {
  local started_at=$SECONDS
  can_use_root || fail "missing packages: $*; run 'apt-get install $*' as root, then run this again"
  log "Installing $* with apt-get, about a minute (log: $INSTALL_LOG)"
  (
    trap allow_service_starts EXIT
    block_service_starts && apt_steps "$@"
  ) >"$INSTALL_LOG" 2>&1 </dev/null || {
    tail -n 20 "$INSTALL_LOG" >&2
    fail "could not install $*; see $INSTALL_LOG"
  }
  log "Installed $* in $((SECONDS - started_at)) s"
}

apt_steps() {
  as_root apt-get update || true # a stale package list may suffice; otherwise the install fails
  case " $* " in
    *" postgresql "*)
      apt_install postgresql-common || return
      disable_default_cluster || return
      ;;
  esac
  apt_install "$@" || return
  case " $* " in
    *" redis-server "*) as_root update-rc.d redis-server disable || true ;; # otherwise it occupies port 6379 after the next boot
  esac
}

install_with_brew() {
  local formulas=() package
  for package in "$@"; do
    case $package in
      redis-server) formulas+=(redis) ;;
      gcc | libc6-dev) fail "no C compiler; run 'xcode-select --install', then run this again" ;;
      *) formulas+=("$package") ;;
    esac
  done
  log "Installing ${formulas[*]} with Homebrew, a few minutes (log: $INSTALL_LOG)"
  brew install "${formulas[@]}" >"$INSTALL_LOG" 2>&1 </dev/null || {
    tail -n 20 "$INSTALL_LOG" >&2
    fail "could not install ${formulas[*]}; see $INSTALL_LOG"
  }
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@"
}

can_use_root() {
  if [ "$(id -u)" = 0 ]; then
    return 0
  fi
  command_exists sudo || return 1
  # Prompt for the password now, before the output is redirected to the log.
  sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

POLICY_FILE=/usr/sbin/policy-rc.d

block_service_starts() {
  [ -e "$POLICY_FILE" ] || printf '#!/bin/sh\n# plant: temporary, during package installation\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY_FILE"
}

allow_service_starts() {
  if grep -qs '^# plant: ' "$POLICY_FILE"; then
    as_root rm -f "$POLICY_FILE"
  fi
}

disable_default_cluster() {
  as_root sed -i -E "s/^#?(create_main_cluster) .*/\1 = false/" /etc/postgresql-common/createcluster.conf
}
