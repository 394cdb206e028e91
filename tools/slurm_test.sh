#!/usr/bin/env bash
# Test on a slurm cluster.
#
#   tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [flags of test.py]
#
# One process per GPU: GPUS in all (8), GPUS_PER_NODE (8, or GPUS if fewer),
# CPUS_PER_TASK (8). SRUN_ARGS holds further arguments of srun, PYTHON names
# the interpreter. MASTER_PORT defaults to one that depends on the job.
set -euo pipefail
if [ $# -lt 4 ]; then
    usage="PARTITION JOB_NAME CONFIG CHECKPOINT [flags of test.py]"
    echo "usage: $0 $usage" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3 checkpoint=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
source "$here/launch.sh"
launch_slurm "$partition" "$job_name" \
    "$here/test.py" "$config" "$checkpoint" --launcher slurm "$@"
