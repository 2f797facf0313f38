# shellcheck shell=bash
# The database in DATABASE_URL and PostgreSQL's client programs. Sourced after packages.sh.

# Sets DATABASE_URL to the database of this checkout if it is unset.
require_database_url() {
  local urls
  if [ -z "${DATABASE_URL:-}" ]; then
    urls=$("$ROOT/scripts/services.sh" env) || exit
    eval "$urls"
  fi
  export DATABASE_URL
}

# Usage: postgresql_program <name>. Prints the path of a client program, of the newest installed version.
postgresql_program() {
  local directory
  directory=$(postgresql_bin_directories | head -n 1)
  if [ -n "$directory" ] && [ -x "$directory/$1" ]; then
    printf '%s\n' "$directory/$1"
  else
    command -v "$1" || fail "$1 is not installed; it is part of the PostgreSQL packages"
  fi
}

# Usage: with_database <URL> <name>. Prints the URL of another database of the same server.
with_database() {
  local base=${1%%\?*}
  printf '%s\n' "${base%/*}/$2${1#"$base"}"
}

# Usage: sql <URL> <argument of psql>…
sql() {
  local url=$1
  shift
  "$(postgresql_program psql)" -X -q -A -t -v ON_ERROR_STOP=1 "$@" "$url"
}

# shellcheck disable=SC2034 # for the scripts that source this file
# A query that counts the rows of every table; prints a line `table<TAB>count` for each.
ROW_COUNTS="select relname || E'\t' || (xpath('/row/count/text()', query_to_xml(format('select count(*) as count from %s', oid::regclass), false, true, '')))[1]::text
from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname"

# Prints the SHA-256 of standard input.
sha256() {
  if command_exists sha256sum; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}
