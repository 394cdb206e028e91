#!/usr/bin/env bash
# Makes the environment of hpvit_mm. This file chooses the Python;
# tools/setup/setup_env.py does the rest.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

usage() {
    cat <<'EOF'
Usage: bash tools/setup_env.sh [--stack official|onedl] [--quiet]

Makes the environment of this checkout in .venv: torch, the OpenMMLab packages,
mmcv's ops compiled beside that torch, and hpvit_mm itself. Run it again at any
time: it repairs and completes what is missing, and changes nothing else.

  --stack    official: the releases of OpenMMLab (default).
             onedl: the maintained forks, in an environment of their own.
             Without it, an environment keeps the stack that it has.
  --quiet    compare names and versions only where it was complete, and say
             nothing where nothing has changed. Without it everything is imported.

Environment variables:
  HPVIT_VENV   the environment's folder instead of .venv; an existing virtual or
               conda environment may be named too, and keeps its torch
  PYTHON       the interpreter to make it with (3.10, 3.11 or 3.12)
  FORCE_CUDA   1: CUDA ops although torch sees no GPU; 0: CPU ops although it does
               (with 1, name the GPUs: TORCH_CUDA_ARCH_LIST=9.0)
  MAX_JOBS     files compiled at once (default: all cores that memory allows)

What is installed, and why: requirements.txt.
EOF
}

fail() {  # status, sentence
    echo "error: $2" >&2
    exit "$1"
}

stack=
quiet=
while (($#)); do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --quiet) quiet=--quiet; shift ;;
        --stack) [[ $# -ge 2 ]] || fail 2 "--stack needs a value: official or onedl"
            stack=$2; shift 2 ;;
        --stack=*) stack=${1#*=}; shift ;;
        *) fail 2 "unknown argument '$1': see bash tools/setup_env.sh --help" ;;
    esac
done
[[ "$stack" =~ ^(official|onedl|)$ ]] ||
    fail 2 "unknown stack '$stack': choose official or onedl"

venv=${HPVIT_VENV:-$root/.venv}
[[ "$venv" == /* ]] || venv=$PWD/$venv

version() { "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null; }
suitable() { [[ "$(version "$1")" =~ ^3\.(10|11|12)\. ]]; }

if [[ -n "${PYTHON:-}" ]]; then
    found=$(version "$PYTHON") || fail 2 "PYTHON=$PYTHON does not run: name a \
Python 3.10, 3.11 or 3.12, for example PYTHON=/usr/bin/python3.11"
    suitable "$PYTHON" || fail 2 "PYTHON=$PYTHON is Python $found: name a Python \
3.10, 3.11 or 3.12, for example PYTHON=/usr/bin/python3.11"
    python=$PYTHON
else
    python=
    for candidate in "$venv/bin/python" python3 python3.12 python3.11 python3.10; do
        if suitable "$candidate"; then
            python=$candidate
            break
        fi
    done
    [[ -n "$python" ]] || fail 1 "no Python 3.10, 3.11 or 3.12 found (python3 is \
$(version python3 || echo missing)): install one, or name it with PYTHON=/path/to/python3.11"
fi

# The environment's settings for other Pythons must not reach this one's start.
unset PYTHONHOME
exec "$python" "$root/tools/setup/setup_env.py" --venv "$venv" \
    ${PYTHON:+--python-given} ${stack:+--stack "$stack"} $quiet
