#!/usr/bin/env bash
# Packs built programs, with what they need beside them, into an archive with its SHA-256.
#
#   scripts/package.sh DIRECTORY TARGET      as in: scripts/package.sh target/x86_64-unknown-linux-musl/release x86_64-linux
#   scripts/package.sh --check-static FILE…  fails if a program needs shared libraries
#   scripts/package.sh --version             prints the version in Cargo.toml
#
# Writes dist/plant-VERSION-TARGET.tar.gz and .tar.gz.sha256. The same files give the same bytes on every machine.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

# Besides the programs in bin/. scripts/run_load_tests.sh finds the SLA file and its defaults in the same places as in the repository.
FILES=(README.md LICENSE-MIT LICENSE-APACHE CHANGELOG.md CONTRIBUTING.md SECURITY.md .env.example .env.load-testing docs
  plant-loadtest/profiles plant-loadtest/sla plant-loadtest/schema plant-loadtest/examples scripts/run_load_tests.sh
  scripts/run_all_load_tests.sh scripts/lib/loadtest.sh scripts/lib/packages.sh scripts/lib/processes.sh)
PROGRAMS=(plant-api plant-loadtest seed_test_data)

main() {
  case ${1:-} in
    --check-static)
      shift
      check_static "$@"
      ;;
    --version) version ;;
    '' | -*) fail "expected a directory and a target; see the usage at the top of scripts/package.sh" ;;
    *) package "$1" "${2:?the name of the target is missing}" ;;
  esac
}

package() {
  local name archive
  name=plant-$(version)-$2
  archive=$ROOT/dist/$name.tar.gz
  STAGE=$(mktemp -d)
  trap 'rm -rf "$STAGE"' EXIT
  mkdir -p "$ROOT/dist" "$STAGE/$name/bin"
  install -m 755 "${PROGRAMS[@]/#/$1/}" "$STAGE/$name/bin/"
  (cd "$ROOT" && tar -cf - "${FILES[@]}") | tar -C "$STAGE/$name" -xf -
  chmod -R u=rwX,go=rX "$STAGE"
  # The times and the order of the files are not those of this machine.
  tar -C "$STAGE" --sort=name --mtime="@$(last_commit_time)" --owner=0 --group=0 --numeric-owner -cf - "$name" |
    gzip -n -9 >"$archive"
  (cd "$ROOT/dist" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
  log "$archive: $(du -h "$archive" | cut -f 1)"
}

version() {
  sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml"
}

last_commit_time() {
  git -C "$ROOT" log -1 --format=%ct 2>/dev/null || printf '0\n'
}

check_static() {
  local program
  for program in "$@"; do
    ! readelf --dynamic "$program" | grep -F '(NEEDED)' >&2 || fail "$program needs shared libraries"
    ! readelf --program-headers "$program" | grep -F 'Requesting program interpreter' >&2 ||
      fail "$program needs a dynamic loader"
    log "$program: statically linked"
  done
}

main "$@"
