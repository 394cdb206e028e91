#!/usr/bin/env bash
# Train with several processes on this machine, or on several machines.
#
#   tools/dist_train.sh CONFIG GPUS [flags of tools/train.py]
#
# GPUS is the number of processes on this machine; without a GPU they share
# the CPU. On several machines run it on each with NNODES, NODE_RANK,
# MASTER_ADDR and PORT set. PYTHON names the interpreter.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [flags of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
source "$here/launch.sh"
launch "$gpus" "$here/train.py" "$config" --launcher pytorch "$@"
