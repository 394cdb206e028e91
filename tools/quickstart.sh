#!/usr/bin/env bash
# From a fresh clone to four trained models and a report: see --help.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() {
    cat <<'EOF'
Usage: bash tools/quickstart.sh [--stack official|onedl] [--work-dir DIR]

Makes the environment (tools/setup_env.sh) and the sample data, then trains and
tests four small experiments: image classification, instance segmentation, and
semantic segmentation on two kinds of data. It ends with a report,
work_dirs/quickstart/report.html. It can be stopped at any time: the same
command continues.

  --stack      which OpenMMLab packages to install: see tools/setup_env.sh
  --work-dir   the folder for all results instead of work_dirs/quickstart

Exit status: 0 when every experiment reaches its floor, 1 when one does not or
a step fails, 2 for what you can fix, 130 when stopped.
EOF
}

fail() { echo "error: $1" >&2; usage >&2; exit 2; }

setup=(--quiet)
options=()
while (($#)); do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --stack) [[ $# -ge 2 ]] || fail "--stack needs a value"
            setup+=("$1" "$2"); shift 2 ;;
        --stack=*) setup+=("$1"); shift ;;
        --work-dir) [[ $# -ge 2 ]] || fail "--work-dir needs a value"
            options+=("$1" "$2"); shift 2 ;;
        --work-dir=*) options+=("$1"); shift ;;
        *) fail "unknown argument '$1'" ;;
    esac
done

bash "$root/tools/setup_env.sh" "${setup[@]}"
venv=${HPVIT_VENV:-$root/.venv}
[[ "$venv" == /* ]] || venv=$PWD/$venv
exec "$venv/bin/python" "$root/tools/quickstart/quickstart.py" ${options[@]+"${options[@]}"}
