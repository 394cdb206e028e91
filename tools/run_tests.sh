#!/usr/bin/env bash
# Runs the tests, in an environment that it makes if needed.
# Usage: bash tools/run_tests.sh [--stack official|onedl] [pytest's arguments]
# For example: bash tools/run_tests.sh -m "not slow" -k attention
# Tests run in up to 4 processes, one per core; -n 0 runs them in one.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

setup=(--quiet)
pytest=()
while (($#)); do
    case "$1" in
        --stack) setup+=("$1" "${2:-}"); shift; shift || true ;;
        --stack=*) setup+=("$1"); shift ;;
        *) pytest+=("$1"); shift ;;
    esac
done

bash "$root/tools/setup_env.sh" "${setup[@]}"
venv=${HPVIT_VENV:-$root/.venv}
[[ "$venv" == /* ]] || venv=$PWD/$venv
cd "$root"
exec "$venv/bin/python" -m pytest -n auto --maxprocesses 4 --dist worksteal \
    ${pytest[@]+"${pytest[@]}"}
