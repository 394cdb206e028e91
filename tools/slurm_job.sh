#!/usr/bin/env bash
# Train on a slurm cluster for longer than one job may last.
#
#   sbatch [options] tools/slurm_job.sh CONFIG WORK_DIR [flags of train.py]
#
# Submit it from the folder of this checkout. What WORK_DIR has is continued;
# five minutes before its end training saves its state and ends with status
# 75, and the job goes back to the queue, to continue with the next iteration.
# Options of sbatch overrule the lines below; one task belongs to each GPU.
# PYTHON names the interpreter.
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

# In the background, because bash handles a signal only while it waits.
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    "$PYTHON" -u "$tools/train.py" "$config" --resume \
    --work-dir "$work_dir" --launcher slurm "$@" &
training=$!

nearly_over=
save() {  # srun passes it on to all processes
    nearly_over=yes
    echo "The time of job $SLURM_JOB_ID is nearly over: training is asked to save its state."
    kill -USR1 "$training" || true
}
trap save USR1

# A signal ends the waiting, no more.
status=0
wait "$training" || status=$?
while kill -0 "$training" 2> /dev/null; do
    status=0
    wait "$training" || status=$?
done
# Not only after 75: srun ends those processes that end later than the first,
# and has their status then. After 0 it is complete, after 2 it cannot go on.
if [ -n "$nearly_over" ] && [ "$status" != 0 ] && [ "$status" != 2 ]; then
    echo "Job $SLURM_JOB_ID goes back to the queue, to go on from there."
    scontrol requeue "$SLURM_JOB_ID" ||  # which ends this job
        echo "It cannot be requeued; submit it again."
fi
exit "$status"
