#!/usr/bin/env bash
# Train on a slurm cluster for longer than one job may last.
#
#   sbatch [options] tools/slurm_job.sh CONFIG WORK_DIR [flags of train.py]
#
# Submit it from the folder of this checkout. What WORK_DIR has is continued;
# five minutes before its end the job goes back to the queue, and continues
# from its newest checkpoint. Options of sbatch overrule the lines below; one
# task belongs to each GPU. PYTHON names the interpreter.
#
#SBATCH --job-name=hpvit
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@300
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: sbatch $0 CONFIG WORK_DIR [flags of tools/train.py]" >&2
    exit 2
fi
# slurm runs a copy of this file, which lies elsewhere
if [ ! -f "${SLURM_SUBMIT_DIR:-}/tools/launch.sh" ]; then
    echo "error: submit it with sbatch, from the folder of hpvit_mm" >&2
    exit 2
fi
source "$SLURM_SUBMIT_DIR/tools/launch.sh"
config=$1 work_dir=$2
shift 2

hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
export MASTER_ADDR=${hosts%%$'\n'*}
export MASTER_PORT=$((10000 + SLURM_JOB_ID % 20000))

nearly_over=
requeue() {
    nearly_over=yes
    echo "The time of job $SLURM_JOB_ID is nearly over: back to the queue."
    scontrol requeue "$SLURM_JOB_ID" ||  # which would end this job
        echo "It cannot be requeued; submit it again when it has ended."
}
trap requeue USR1

# In the background, because bash handles a signal only while it waits.
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    "$PYTHON" -u "$tools/train.py" "$config" --resume \
    --work-dir "$work_dir" --launcher slurm "$@" &
training=$!
status=0
wait "$training" || status=$?
if [ -n "$nearly_over" ]; then  # the signal ended the waiting, no more
    status=0
    wait "$training" || status=$?
fi
exit "$status"
