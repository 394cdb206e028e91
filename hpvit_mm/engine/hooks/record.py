"""Hook that refuses to resume a run as another one."""
import hashlib
import os
import re
from typing import Any, Iterator, List, Optional, Tuple

from mmengine.config import Config
from mmengine.hooks import Hook

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS
from hpvit_mm.utils import shorten

RECORD = 'hpvit_mm'  # its key in the checkpoint's meta
SAMPLES = 1000  # samples of the dataset that are compared
SHOWN = 8  # changes in a message
# Entries of the config that define the experiment.
ENTRIES = ('model', 'train_dataloader', 'optim_wrapper', 'param_scheduler',
           'train_cfg', 'default_hooks', 'custom_hooks', 'randomness',
           'val_dataloader.dataset', 'val_evaluator')
VALIDATION = ('val_dataloader', 'val_evaluator')
# Parts of these that may change: initial weights, paths (the data itself is
# compared), the speed of loading, what is logged and kept.
FREE = re.compile(
    r'.*\binit_cfg\b.*|.*\.with_cp|'
    r'.*\b(data_root|data_prefix|ann_file|seg_map_path|backend_args)\b.*|'
    r'.*_dataloader\.(num_workers|persistent_workers|pin_memory|'
    r'prefetch_factor|timeout|worker_init_fn)\b.*|'
    r'default_hooks\.(checkpoint|logger|timer|runtime_info|visualization|'
    r'compile|finite|preemption|watchdog|record)\b.*|'
    r'train_cfg\.max_corrupt|randomness\.seed|'
    r'optim_wrapper\.optimizer\.(fused|foreach)')


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Compare a resumed run with the one that saved the checkpoint.

    Each checkpoint has a record of the number of processes, batch size, seed,
    config and dataset. If the resumed run differs, the learning rate may not
    fit, batches may be seen twice or never, or the schedule may not be that of
    the config. That is an error, unless it is allowed; then it is noted in
    later checkpoints, ``meta['hpvit_mm']['changes']``.

    Args:
        allow_drift: Whether differences are allowed. Defaults to False.
            ``--allow-drift`` of tools/train.py.

    Raises:
        UserError: If something differs when a checkpoint is resumed.
    """

    def __init__(self, allow_drift: bool = False) -> None:
        self.allow_drift = allow_drift
        self.changes: List[dict] = []
        self.now: Optional[dict] = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the records, if training is resumed."""
        if not runner.cfg.get('resume'):
            return
        before = checkpoint['meta'].get(RECORD)
        if not isinstance(before, dict):
            runner.logger.warning(
                'The checkpoint has no record of its run (another tool wrote '
                'it): batch size, config and data were not compared')
            return
        self.changes = list(before.get('changes', []))
        if hasattr(runner.train_loop, 'epoch_length_before'):
            runner.train_loop.epoch_length_before = before['epoch_length']
        found = differences(before, self._record(runner))
        if not found:
            return
        text = shorten(found, SHOWN, sep='; ')
        if not self.allow_drift:
            raise UserError(
                'this is not the run that saved the checkpoint '
                f'{runner.cfg.get("load_from")}: {text}. Restore that, or add '
                '--allow-drift to continue with the weights, optimizer, '
                'learning rates and schedule of the checkpoint and everything '
                'else as given now')
        runner.logger.warning(
            f'This is not the run that saved the checkpoint, as --allow-drift '
            f'allows: {text}. Weights, optimizer, learning rates and schedule '
            'are those of the checkpoint.')
        self.changes.append(dict(iter=checkpoint['meta']['iter'],
                                 changes=found))

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Add the record."""
        checkpoint['meta'][RECORD] = dict(self._record(runner),
                                          changes=self.changes)

    def _record(self, runner) -> dict:
        if self.now is None:
            cfg = runner.cfg
            self.now = dict(
                world_size=runner.world_size,
                batch_size=cfg.train_dataloader.get('batch_size'),
                accumulative_counts=cfg.optim_wrapper.get(
                    'accumulative_counts', 1),
                seed=getattr(runner.train_loop, 'seed', runner.seed),
                epoch_length=len(runner.train_dataloader),
                dataset=fingerprint(runner.train_dataloader.dataset),
                config=dict(flat_config(cfg)))
        return self.now


def differences(before: dict, now: dict) -> List[str]:
    """Describe each difference between two records."""
    words = dict(
        world_size='processes', batch_size='images per process and batch',
        accumulative_counts='accumulated batches', seed='seed',
        dataset='training data')
    found = [f'{words[key]}: {before.get(key)}, now {now[key]}'
             for key in words if before.get(key) != now[key]]
    old, new = before.get('config', {}), now['config']
    covered = (r'train_dataloader\.batch_size|'
               r'optim_wrapper\.accumulative_counts')
    if not all(any(key.startswith(VALIDATION) for key in one)
               for one in (old, new)):  # one was run with --no-validate
        covered += '|' + '|'.join(f'{name}.*' for name in VALIDATION)
    covered = re.compile(covered)
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key) and not covered.fullmatch(key):
            found.append(f'{key}: {old.get(key, "not there")}, now '
                         f'{new.get(key, "not there")}')
    return found


def fingerprint(dataset: Any) -> str:
    """Hash the files and labels of a dataset, but not its location."""
    length = len(dataset)
    result = hashlib.sha256()
    step = max(1, length // SAMPLES)
    for index in range(0, length, step):
        try:
            info = dataset.get_data_info(index)
        except Exception:  # not a dataset of mmengine
            break
        labels = [(one.get('bbox_label'), one.get('bbox'))
                  for one in info.get('instances', ())]
        result.update(repr((
            os.path.basename(str(info.get('img_path'))),
            info.get('gt_label'), labels,
            label_map(info.get('seg_map_path')))).encode())
    return f'{length} samples, fingerprint {result.hexdigest()[:8]}'


def label_map(path: Optional[str]) -> Optional[Tuple[str, int]]:
    """Folder name, name and size of a label map."""
    if path is None:
        return None
    folder, name = os.path.split(str(path))
    size = os.path.getsize(path) if os.path.isfile(path) else -1
    return f'{os.path.basename(folder)}/{name}', size


def flat_config(cfg: Config) -> Iterator[Tuple[str, str]]:
    """The values of a config that define the experiment: path and text."""
    for entry in ENTRIES:
        node = cfg
        for key in entry.split('.'):
            node = (node or {}).get(key)
        yield from _flat(node, entry)


def _flat(node: Any, path: str) -> Iterator[Tuple[str, str]]:
    if FREE.fullmatch(path):
        return
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f'{path}.{key}')
    elif isinstance(node, (list, tuple)) and any(
            isinstance(one, (dict, list, tuple)) for one in node):
        for i, value in enumerate(node):
            yield from _flat(value, f'{path}.{i}')
    elif callable(node):  # its repr has a memory address
        yield path, getattr(node, '__qualname__', type(node).__qualname__)
    elif node is not None:
        yield path, repr(list(node) if isinstance(node, tuple) else node)
