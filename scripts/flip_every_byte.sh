#!/usr/bin/env bash
# Flips a bit of every byte of an export and counts how `plant-api verify` finds it. Exit code 1 when one flip is
# not found, or when the untouched file is not intact.
#
#   scripts/flip_every_byte.sh [FILE]   FILE: what `GET /api/v1/audit/export` answered; without it, 1,000 entities made
#                                       by the same functions
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/lib/packages.sh
. "$ROOT/scripts/lib/packages.sh"

need_rust
exec cargo run --release --locked -q --manifest-path "$ROOT/Cargo.toml" -p plant-api --example flip_every_byte -- "$@"
