# Functions of the dist_*.sh and slurm_*.sh scripts; source this file.

# The interpreter: PYTHON, else that of HPVIT_VENV, of the active virtual
# environment, or of the one of this checkout.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${PYTHON:-}" ]; then
    PYTHON=${HPVIT_VENV:-${VIRTUAL_ENV:-$tools/../.venv}}/bin/python
    if [ ! -x "$PYTHON" ] && [ -n "${HPVIT_VENV:-}" ]; then
        echo "error: HPVIT_VENV=$HPVIT_VENV has no bin/python; correct it" >&2
        exit 2
    fi
    [ -x "$PYTHON" ] || PYTHON=python
fi

# The default of torchrun, which would otherwise print that it sets it.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# launch PROCESSES SCRIPT [ARGUMENTS]: start the processes of this machine.
launch() {
    local processes=$1
    shift
    local nnodes=${NNODES:-1}
    local where=(--master_addr "${MASTER_ADDR:-127.0.0.1}"
                 --master_port "${PORT:-29500}"
                 --nnodes "$nnodes" --node_rank "${NODE_RANK:-0}")
    if [ "$nnodes" = 1 ] && [ -z "${PORT:-}" ]; then
        where=(--standalone)  # torchrun finds a free port
    fi
    exec "$PYTHON" "$tools/torchrun.py" "${where[@]}" \
        --nproc_per_node "$processes" "$@"
}

# launch_slurm PARTITION JOB_NAME SCRIPT [ARGUMENTS]: one process per GPU.
launch_slurm() {
    local partition=$1 job_name=$2
    shift 2
    local gpus=${GPUS:-8}
    local per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    # shellcheck disable=SC2086  # SRUN_ARGS holds several arguments
    exec srun -p "$partition" --job-name="$job_name" \
        --gres="gpu:$per_node" --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-8}" --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} "$PYTHON" -u "$@"
}
