#!/usr/bin/env bash
# Train on a slurm cluster for longer than one job may last.
#
#   sbatch [options] tools/slurm_job.sh CONFIG WORK_DIR [flags of train.py]
#
# Submit it from the root of this checkout. It resumes the run in WORK_DIR, if
# there is one. Five minutes before its time limit training saves its state and
# ends with status 75, and the job is requeued to continue with the next
# iteration. Options of sbatch override the lines below; use one task per GPU.
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
# slurm runs a copy of this file from another folder
if [ ! -f "${SLURM_SUBMIT_DIR:-}/tools/launch.sh" ]; then
    echo "error: submit it with sbatch, from the folder of hpvit_mm" >&2
    exit 2
fi
source "$SLURM_SUBMIT_DIR/tools/launch.sh"
config=$1 work_dir=$2
shift 2

# In the background, because bash handles signals only during "wait".
srun --kill-on-bad-exit=1 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
    "$PYTHON" -u "$tools/train.py" "$config" --resume \
    --work-dir "$work_dir" --launcher slurm "$@" &
training=$!

nearly_over=
save() {  # srun passes it on to all processes
    nearly_over=yes
    echo "Job $SLURM_JOB_ID is near its time limit: training saves its state."
    kill -USR1 "$training" || true
}
trap save USR1

# A signal interrupts "wait".
status=0
wait "$training" || status=$?
while kill -0 "$training" 2> /dev/null; do
    status=0
    wait "$training" || status=$?
done
# Not only after 75: srun kills the processes that end later than the first,
# and returns their status. 0 means complete, 2 that it cannot continue.
if [ -n "$nearly_over" ] && [ "$status" != 0 ] && [ "$status" != 2 ]; then
    echo "Job $SLURM_JOB_ID is requeued to continue."
    scontrol requeue "$SLURM_JOB_ID" ||  # which ends this job
        echo "It cannot be requeued; submit it again."
fi
exit "$status"
