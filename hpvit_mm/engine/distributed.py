"""Several processes, on GPUs or without."""
import os
import subprocess

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.logging import print_log

from hpvit_mm.errors import UserError

# What a launcher tells its processes: (its name, torch's name).
VARIABLES = {
    'pytorch': {name: name for name in (
        'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')},
    'slurm': dict(SLURM_PROCID='RANK', SLURM_NTASKS='WORLD_SIZE',
                  SLURM_LOCALID='LOCAL_RANK'),
    'mpi': dict(OMPI_COMM_WORLD_RANK='RANK',
                OMPI_COMM_WORLD_SIZE='WORLD_SIZE',
                OMPI_COMM_WORLD_LOCAL_RANK='LOCAL_RANK'),
}
# Strategies of mmengine whose checkpoints are folders.
IN_PARTS = ('ColossalAIStrategy', 'DeepSpeedStrategy')
REMEDIES = dict(
    pytorch='start it with tools/dist_train.sh or tools/dist_test.sh',
    slurm='start it with tools/slurm_train.sh or tools/slurm_test.sh',
    mpi='start it with mpirun')


def check_launcher(launcher: str) -> None:
    """Stop where the named launcher did not start this process."""
    for name in VARIABLES.get(launcher, ()):
        if name not in os.environ:
            raise UserError(
                f'--launcher {launcher} expects the environment variable '
                f'{name}, which is not set; {REMEDIES[launcher]}, or leave '
                '--launcher away for a single process')


def world_size(launcher: str) -> int:
    """Number of processes that a launcher has started."""
    for name, torch_name in VARIABLES.get(launcher, {}).items():
        if torch_name == 'WORLD_SIZE':
            return int(os.environ.get(name, 1))
    return 1


def check_strategy(cfg: Config) -> None:
    """Stop where a strategy was asked for what it cannot do here."""
    strategy = cfg.get('strategy') or {}
    kind = strategy.get('type', '')
    if isinstance(kind, type):
        kind = f'{kind.__module__.partition(".")[0]}.{kind.__name__}'
    fsdp = 'FSDP' in kind
    layout = strategy.get('state_dict_cfg') or (
        'full' if kind == 'hpvit_mm.FSDPStrategy' else 'local')
    if kind.rpartition('.')[2] in IN_PARTS or (
            fsdp and 'full' not in str(layout).lower()):
        raise UserError(
            f'{kind} would write checkpoints in parts, from which no training '
            'here continues; use strategy.type=hpvit_mm.FSDPStrategy, which '
            'writes whole ones (state_dict_cfg=full)')
    if not fsdp:
        return
    if cfg.launcher == 'none':
        raise UserError(
            f'{kind} needs processes to share the parameters out; start it '
            'with tools/dist_train.sh, on one GPU too, or leave runner_type '
            'and strategy out of the config')
    hooks = [*(cfg.get('default_hooks') or {}).values(),
             *(cfg.get('custom_hooks') or [])]
    if any('EMAHook' in str(hook.get('type')) for hook in hooks if hook):
        raise UserError(
            f'EMAHook averages whole models, and {kind} has only parts of '
            'one; remove the hook, or leave runner_type and strategy out of '
            'the config')


def set_up(cfg: Config) -> None:
    """Let the processes of a distributed run find one another.

    Before the Runner does, because they must agree on where to begin. With
    GPUs all is as mmengine does it. Without, mmengine would fail: it selects
    a GPU for the process and for DistributedDataParallel.
    """
    if cfg.launcher == 'none':
        return
    # One thread per process, torchrun's default; set here, so that
    # mmengine does not warn that it sets the same.
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    if torch.cuda.is_available():
        options = (cfg.get('env_cfg') or {}).get('dist_cfg') or {}
        init_dist(cfg.launcher, **options)
    else:
        init_gloo(cfg.launcher)
        wrap_without_gpu(cfg)
        replace_sync_bn(cfg)


def leave() -> None:
    """Leave the process group together, at the end of a run that succeeded.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        if dist.get_backend() != 'gloo':  # the end of the process is enough
            dist.destroy_process_group()


def init_gloo(launcher: str) -> None:
    """Start the process group of a run without GPUs."""
    for name, torch_name in VARIABLES[launcher].items():
        os.environ[torch_name] = os.environ[name]
    if launcher != 'pytorch':
        os.environ.setdefault('MASTER_PORT', '29500')
        os.environ.setdefault('MASTER_ADDR', _first_host(launcher))
    dist.init_process_group('gloo')


def _first_host(launcher: str) -> str:
    if launcher == 'slurm':
        hosts = subprocess.run(
            ['scontrol', 'show', 'hostnames', os.environ['SLURM_NODELIST']],
            capture_output=True, text=True, check=True).stdout
        return hosts.split()[0]
    raise UserError('--launcher mpi expects the environment variable '
                    'MASTER_ADDR; set it to the name of the first host')


def wrap_without_gpu(cfg: Config) -> None:
    """Synchronise gradients on the CPU."""
    wrapper = dict(
        type='MMDistributedDataParallel', device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.setdefault('model_wrapper_cfg', wrapper)
    if cfg.get('runner_type') == 'FlexibleRunner':  # its place for the same
        cfg.setdefault(
            'strategy', dict(type='DDPStrategy', model_wrapper=wrapper))


def replace_sync_bn(cfg: Config) -> None:
    """Replace SyncBN, which exists on GPUs only, by BN."""
    count = _replace_type(cfg.model, 'SyncBN', 'BN')
    if count:
        print_log(f'SyncBN needs GPUs: replaced by BN in {count} places of '
                  'the config', logger='current')


def _replace_type(node, old: str, new: str) -> int:
    if isinstance(node, dict):
        count = sum(_replace_type(item, old, new) for item in node.values())
        if node.get('type') == old:
            node['type'] = new
            count += 1
        return count
    if isinstance(node, (list, tuple)):
        return sum(_replace_type(item, old, new) for item in node)
    return 0
