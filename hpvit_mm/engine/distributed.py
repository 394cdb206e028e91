"""Process groups, on GPUs or without."""
import logging
import os
import subprocess
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.logging import print_log

from hpvit_mm.errors import UserError

from . import agreement

# environment variables: those of a launcher -> those of torch
VARIABLES = {
    'pytorch': {name: name for name in (
        'RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')},
    'slurm': dict(SLURM_PROCID='RANK', SLURM_NTASKS='WORLD_SIZE',
                  SLURM_LOCALID='LOCAL_RANK'),
    'mpi': dict(OMPI_COMM_WORLD_RANK='RANK',
                OMPI_COMM_WORLD_SIZE='WORLD_SIZE',
                OMPI_COMM_WORLD_LOCAL_RANK='LOCAL_RANK'),
}
# strategies of mmengine whose checkpoints are folders
IN_PARTS = ('ColossalAIStrategy', 'DeepSpeedStrategy')
REMEDIES = dict(
    pytorch='start it with tools/dist_train.sh or tools/dist_test.sh',
    slurm='start it with tools/slurm_train.sh or tools/slurm_test.sh',
    mpi='start it with mpirun')
DRIVER = '/proc/driver/nvidia/version'


def check_launcher(launcher: str) -> None:
    """Raise if the named launcher did not start this process."""
    for name in VARIABLES.get(launcher, ()):
        if name not in os.environ:
            raise UserError(
                f'--launcher {launcher} expects the environment variable '
                f'{name}, which is not set; {REMEDIES[launcher]}, or omit '
                '--launcher for a single process')


def world_size(launcher: str) -> int:
    """Number of processes that a launcher has started."""
    for name, torch_name in VARIABLES.get(launcher, {}).items():
        if torch_name == 'WORLD_SIZE':
            return int(os.environ.get(name, 1))
    return 1


def check_strategy(cfg: Config) -> None:
    """Raise if a strategy cannot do what the config asks for."""
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
            f'{kind} would write sharded checkpoints, which --resume cannot '
            'read; use strategy.type=hpvit_mm.FSDPStrategy, which writes '
            'whole ones (state_dict_cfg=full)')
    if not fsdp:
        return
    if cfg.launcher == 'none':
        raise UserError(
            f'{kind} needs a process group to shard the parameters; start it '
            'with tools/dist_train.sh, also on one GPU, or remove runner_type '
            'and strategy from the config')
    hooks = [*(cfg.get('default_hooks') or {}).values(),
             *(cfg.get('custom_hooks') or [])]
    if any('EMAHook' in str(hook.get('type')) for hook in hooks if hook):
        raise UserError(
            f'EMAHook averages whole models, but {kind} shards them; remove '
            'the hook, or runner_type and strategy, from the config')


def set_up(cfg: Config) -> None:
    """Create the process groups of a distributed run.

    This is done before the Runner does it, because the processes must agree
    on where to start. Collectives wait longer than the watchdog, so that the
    watchdog tells what hangs. Without GPUs mmengine would fail: it selects a
    GPU for the process and for DistributedDataParallel.
    """
    if cfg.launcher == 'none':
        return
    # the default of torchrun; mmengine would warn that it sets the same
    for name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'):
        os.environ.setdefault(name, '1')
    translate_variables(cfg.launcher)
    watchdog = cfg.default_hooks.watchdog.get('timeout', 1800)
    options = dict((cfg.get('env_cfg') or {}).get('dist_cfg') or {})
    timeout = options.setdefault('timeout', watchdog + 600)
    if 'port' in options:
        os.environ['MASTER_PORT'] = str(options.pop('port'))
    if torch.cuda.is_available():
        init_dist('pytorch', **options)
    else:
        try:
            dist.init_process_group('gloo', timeout=timedelta(seconds=timeout))
        except RuntimeError as error:
            raise agreement.no_connection(error) from error
        wrap_without_gpu(cfg)
        replace_sync_bn(cfg)
    agreement.group(timedelta(seconds=timeout))


def translate_variables(launcher: str) -> None:
    """Set the environment variables of torchrun from those of a launcher."""
    for name, torch_name in VARIABLES[launcher].items():
        os.environ[torch_name] = os.environ[name]
    if launcher == 'slurm':
        if torch.cuda.device_count() == 1:  # each task may see its own GPU
            os.environ['LOCAL_RANK'] = '0'
        # jobs, and steps of a job, may share their first node
        number = 10 * int(os.environ.get('SLURM_JOB_ID', 0)) + int(
            os.environ.get('SLURM_STEP_ID', 0))
        os.environ.setdefault('MASTER_PORT', str(10000 + number % 20000))
        if 'MASTER_ADDR' not in os.environ:
            hosts = subprocess.run(
                ['scontrol', 'show', 'hostnames',
                 os.environ['SLURM_NODELIST']],
                capture_output=True, text=True, check=True).stdout
            os.environ['MASTER_ADDR'] = hosts.split()[0]
    elif launcher == 'mpi':
        os.environ.setdefault('MASTER_PORT', '29500')
        if 'MASTER_ADDR' not in os.environ:
            raise UserError('--launcher mpi expects the environment variable '
                            'MASTER_ADDR; set it to the name of the first '
                            'host')


def check_gpu(cfg: Config) -> None:
    """Raise if mmcv's ops do not run on the GPU; warn if it is not used.

    Call it after :func:`set_up`, which selects the GPU. Only parts of
    mmdet need the ops.
    """
    if not torch.cuda.is_available():
        if os.path.exists(DRIVER) and \
                os.environ.get('CUDA_VISIBLE_DEVICES') not in ('', '-1'):
            print_log(
                'This machine has an NVIDIA driver, but torch finds no GPU '
                f'(torch {torch.__version__}, CUDA {torch.version.cuda}): the '
                'run uses the CPU', logger='current', level=logging.WARNING)
        return
    if cfg.get('default_scope') != 'mmdet' and \
            'mmdet.' not in str(cfg.get('model')):
        return
    from mmcv.ops import nms
    try:
        nms(torch.tensor([[0., 0., 1., 1.]], device='cuda'),
            torch.ones(1, device='cuda'), 0.5)
    except RuntimeError as error:
        major, minor = torch.cuda.get_device_capability()
        raise UserError(
            "mmcv's ops do not run on this GPU "
            f'({str(error).splitlines()[0]}): build them again where the CUDA '
            'toolkit is installed, with FORCE_CUDA=1 '
            f'TORCH_CUDA_ARCH_LIST={major}.{minor} bash tools/setup_env.sh '
            'after rm -rf .venv') from error


def leave() -> None:
    """Destroy the process group at the end of a run that succeeded."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        if dist.get_backend() != 'gloo':  # the end of the process is enough
            dist.destroy_process_group()


def wrap_without_gpu(cfg: Config) -> None:
    """Configure DistributedDataParallel for the CPU."""
    wrapper = dict(
        type='MMDistributedDataParallel', device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.setdefault('model_wrapper_cfg', wrapper)
    if cfg.get('runner_type') == 'FlexibleRunner':  # reads it here
        cfg.setdefault(
            'strategy', dict(type='DDPStrategy', model_wrapper=wrapper))


def replace_sync_bn(cfg: Config) -> None:
    """Replace SyncBN, which needs GPUs, by BN."""
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
