# shellcheck shell=bash
# What the scripts say, find and install. Sourced, never run.

INSTALL_LOG=${ROOT:?}/.plant/install.log

say() {
  if [ -z "${QUIET:-}" ]; then
    printf '%s\n' "$*" >&2
  fi
}

fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

have() {
  command -v "$1" >/dev/null 2>&1
}

# Cargo, and the C compiler and linker that crates need.
need_rust() {
  have cargo || PATH=$HOME/.cargo/bin:$PATH
  have cargo || fail "needs Rust: install it from https://rustup.rs and run this again"
  have cc || install_packages gcc libc6-dev
}

# The folders of PostgreSQL's programs, newest first.
installed_postgresqls() {
  {
    compgen -G '/usr/lib/postgresql/*/bin' | sort -t / -k 5 -n -r
    if have brew; then
      compgen -G "$(brew --prefix)/opt/postgresql*/bin" | sort -t @ -k 2 -n -r
    fi
    dirname "$(command -v initdb || true)"
  } | while read -r folder; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && [ -x "$folder/psql" ]; then
      printf '%s\n' "$folder"
    fi
  done
}

# Installs packages, named as Debian does, without letting their own servers start.
install_packages() {
  mkdir -p "${INSTALL_LOG%/*}"
  if have apt-get; then
    install_with_apt "$@"
  elif have brew; then
    install_with_brew "$@"
  else
    fail "needs $* and knows only apt-get and Homebrew: please install them yourself and run this again"
  fi
}

install_with_apt() {
  local began=$SECONDS
  may_be_root || fail "needs the packages $*: run 'apt-get install $*' as root, and then this again"
  say "Installing $* with apt-get, about a minute (log: $INSTALL_LOG)"
  (
    trap allow_servers_to_start EXIT
    keep_servers_from_starting && apt_steps "$@"
  ) >"$INSTALL_LOG" 2>&1 </dev/null || {
    tail -n 20 "$INSTALL_LOG" >&2
    fail "could not install $*; the whole output is in $INSTALL_LOG"
  }
  say "Installed $* in $((SECONDS - began)) s"
}

apt_steps() {
  as_root apt-get update || true # a stale list may still do; the install itself decides
  case " $* " in
    *" postgresql "*)
      apt_install postgresql-common || return
      create_no_main_cluster || return
      ;;
  esac
  apt_install "$@" || return
  case " $* " in
    *" redis-server "*) as_root update-rc.d redis-server disable || true ;; # else it takes port 6379 at the next boot
  esac
}

install_with_brew() {
  local formulas=() package
  for package in "$@"; do
    case $package in
      redis-server) formulas+=(redis) ;;
      gcc | libc6-dev) fail "needs a C compiler: run 'xcode-select --install' and run this again" ;;
      *) formulas+=("$package") ;;
    esac
  done
  say "Installing ${formulas[*]} with Homebrew, a few minutes (log: $INSTALL_LOG)"
  brew install "${formulas[@]}" >"$INSTALL_LOG" 2>&1 </dev/null || {
    tail -n 20 "$INSTALL_LOG" >&2
    fail "could not install ${formulas[*]}; the whole output is in $INSTALL_LOG"
  }
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    -o DPkg::Lock::Timeout=120 "$@"
}

may_be_root() {
  if [ "$(id -u)" = 0 ]; then
    return 0
  fi
  have sudo || return 1
  # Ask for the password now, while the person still sees the terminal.
  sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

POLICY=/usr/sbin/policy-rc.d

keep_servers_from_starting() {
  [ -e "$POLICY" ] || printf '#!/bin/sh\n# plant: only while its packages are installed\nexit 101\n' | as_root install -m 755 /dev/stdin "$POLICY"
}

allow_servers_to_start() {
  if grep -qs '^# plant: ' "$POLICY"; then
    as_root rm -f "$POLICY"
  fi
}

create_no_main_cluster() {
  as_root sed -i -E "s/^#?(create_main_cluster) .*/\1 = false/" /etc/postgresql-common/createcluster.conf
}
