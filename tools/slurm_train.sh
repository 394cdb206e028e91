#!/usr/bin/env bash
# Train on a slurm cluster.
#
#   tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [flags of train.py]
#
# One process per GPU: GPUS in all (8), GPUS_PER_NODE (8, or GPUS if fewer),
# CPUS_PER_TASK (8). SRUN_ARGS holds further arguments of srun, PYTHON names
# the interpreter. MASTER_PORT defaults to one that depends on the job.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [flags of train.py]" >&2
    exit 2
fi
partition=$1 job_name=$2 config=$3 work_dir=$4
shift 4
here=$(cd "$(dirname "$0")" && pwd)
source "$here/launch.sh"
launch_slurm "$partition" "$job_name" \
    "$here/train.py" "$config" --work-dir "$work_dir" --launcher slurm "$@"
