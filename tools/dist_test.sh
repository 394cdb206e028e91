#!/usr/bin/env bash
# Test with several processes on this machine, or on several machines.
#
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [flags of tools/test.py]
#
# GPUS is the number of processes on this machine; without a GPU they share
# the CPU. On several machines run it on each with NNODES, NODE_RANK,
# MASTER_ADDR and PORT set. PYTHON names the interpreter.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [flags of tools/test.py]" >&2
    exit 2
fi
config=$1 checkpoint=$2 gpus=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
source "$here/launch.sh"
launch "$gpus" "$here/test.py" "$config" "$checkpoint" --launcher pytorch "$@"
