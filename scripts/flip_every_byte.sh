#!/usr/bin/env bash
# Flips bits in every byte of an audit export and counts the errors that `plant-api verify` detects. Exit code 1 if a
# flip is not detected, or if the original file is not valid.
#
#   scripts/flip_every_byte.sh [FILE]   FILE: a response of `GET /api/v1/audit/export`; default: a generated export of
#                                       1,000 entities
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

require_rust
exec cargo run --release --locked -q --manifest-path "$ROOT/Cargo.toml" -p plant-api --example flip_every_byte -- "$@"
