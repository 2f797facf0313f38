#!/usr/bin/env bash
# Writes the table of all settings into docs/settings.md, from .env.example (a test compares that with the program's options).
#
#   scripts/settings.sh            write the table
#   scripts/settings.sh --check    only check: fail if the table is out of date
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

PAGE=$ROOT/docs/settings.md

main() {
  case ${1:-} in
    '') with_table >"$PAGE.new" && mv "$PAGE.new" "$PAGE" ;;
    --check)
      with_table | diff -u "$PAGE" - >&2 ||
        fail "docs/settings.md is out of date with .env.example; run scripts/settings.sh and commit it"
      ;;
    *) fail "unknown argument '$1'; see the usage at the top of scripts/settings.sh" ;;
  esac
}

# Prints the page with a new table between the two marks.
with_table() {
  grep -q '^<!-- end of the table -->$' "$PAGE" || fail "docs/settings.md has no mark for the end of the table"
  sed '/^<!-- table /q' "$PAGE"
  table
  sed -n '/^<!-- end of the table -->$/,$p' "$PAGE"
}

# Usage: heading <name>. Prints the heading of the group that begins with this setting.
heading() {
  case $1 in
    PLANT_LISTEN) echo "Addresses, database and Redis" ;;
    PLANT_ACCESS) echo "Access, secrets and accounts" ;;
    PLANT_REQUEST_TIMEOUT) echo "Limits of requests and connections" ;;
    PLANT_WORK) echo "Background jobs and the simulated model" ;;
    PLANT_PAYMENT_WEBHOOK_URL) echo "The simulated payment provider" ;;
    PLANT_WRITER_URL) echo "The writer, and service desks" ;;
    PLANT_AGENT_ID) echo "The performance agent" ;;
    LOG_LEVEL) echo "Logging" ;;
  esac
}

table() {
  local line comment='' name value title
  while IFS= read -r line; do
    case $line in
      '# '*) comment+=${comment:+ }${line#\# } ;;
      *=*)
        name=${line%%=*} value=${line#*=} title=$(heading "$name")
        if [ -n "$title" ]; then
          printf '\n### %s\n\n| setting | default | meaning |\n|---|---|---|\n' "$title"
        fi
        # shellcheck disable=SC2016 # the backquotes are those of Markdown
        printf '| `%s` | %s | %s |\n' "$name" "${value:+\`$value\`}" "${comment//|/\\|}"
        comment=''
        ;;
      # The comment at the top of the file is not that of a setting.
      *) comment='' ;;
    esac
  done <"$ROOT/.env.example"
  printf '\n'
}

main "$@"
