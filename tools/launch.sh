# What the dist_*.sh and slurm_*.sh scripts share; sourced, not run.

# The interpreter: PYTHON, else the environment of this checkout.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$tools/../.venv/bin/python
    [ -x "$PYTHON" ] || PYTHON=python
fi

# One thread per process, torchrun's own default, so that it need not say so.
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
