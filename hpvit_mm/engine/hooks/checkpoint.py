"""Hook that saves checkpoints so that one always loads."""
import logging
import os
import shutil
from collections import deque
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, Union

import torch
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch.distributed.fsdp import FullyShardedDataParallel

from hpvit_mm.checkpoints.file import broken_record
from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS
from hpvit_mm.utils import put_in_place, replacing, shorten

from .. import agreement
from .finite import FiniteHook

POINTER = 'last_checkpoint'
INTERIM = 'interim_iter_{}.pth'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, but atomic and verified.

    A checkpoint is written to a temporary file, flushed to the disk, compared
    with its checksums and renamed; then ``last_checkpoint`` names it, relative
    to the work dir; and only then outdated ones are deleted. So whenever a run
    is killed, or the disk is full, there is a checkpoint that loads, also
    with ``max_keep_ckpts=1``.

    mmengine 0.10.7 deletes the oldest one first, writes in place, and writes
    the newest one again after a validation that was the best so far. Here the
    best one is a separate file; a run that is resumed in front of a validation
    repeats it.

    *Interim* checkpoints, ``interim_iter_N.pth``, are written in front of a
    validation and when a run is asked to end, unless there is one of that
    iteration; the next one replaces them. Accumulated gradients are saved,
    too. Weights that are not finite are never saved.

    All arguments are those of mmengine's CheckpointHook; ``out_dir`` must be
    a local folder.

    Raises:
        UserError: If ``out_dir`` is not local, or arguments are invalid; in
            training, if a checkpoint cannot be written or is not finite.
    """

    def __init__(self, *args, **kwargs) -> None:
        try:
            super().__init__(*args, **kwargs)
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise UserError(f'default_hooks.checkpoint: {error}; correct '
                            'it') from error
        for place in (self.out_dir, self.backend_args, self.file_client_args):
            if isinstance(place, dict) or '://' in str(place or ''):
                raise UserError(
                    'SafeCheckpointHook writes to local folders only: omit '
                    'backend_args and correct out_dir')
        self.watch = None  # a SignalWatch, which waits for the writing
        self.saved = 0  # iteration of the last checkpoint that can be resumed
        self._position: Optional[dict] = None
        self._gradients: Optional[list] = None

    @staticmethod
    def of(runner) -> 'SafeCheckpointHook':
        """Find the hook of a runner."""
        for hook in runner.hooks:
            if isinstance(hook, SafeCheckpointHook):
                return hook
        raise UserError(
            'default_hooks.checkpoint must be a hpvit_mm.SafeCheckpointHook, '
            'which other hooks and loops here rely on')

    @property
    def last(self) -> str:
        """The last checkpoint, for messages."""
        return str(self.last_ckpt or 'no checkpoint')

    def before_train(self, runner) -> None:
        """Clean up after a run that was killed, and check the free space."""
        self.main = runner.rank == 0
        self.saved = runner.iter
        resumed = runner.cfg.get('load_from') if runner.iter else None
        error = None
        if self.main and resumed and Path(resumed).is_file():
            # it may have been killed before it named its last one
            self.last_ckpt = str(resumed)
            error = attempt(runner.work_dir, point, runner.work_dir,
                            Path(resumed))
        super().before_train(runner)  # deletes outdated ones
        self._restore_gradients(runner)
        if not (self.save_optimizer and self.save_param_scheduler):
            runner.logger.warning(
                'default_hooks.checkpoint omits the optimizer or the schedule '
                '(save_optimizer, save_param_scheduler): this run cannot be '
                'resumed')
        if self.main and not error:
            error = attempt(self.out_dir, self._prepare_folder, runner)
        error = agreement.of_first(error)
        if error:
            raise UserError(error)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite; add the position."""
        bad = [name for entry in ('state_dict', 'ema_state_dict')
               for name in not_finite(checkpoint.get(entry, {}))]
        if bad:
            raise UserError(
                f'the weights are not finite at iteration {runner.iter} '
                f'({shorten(bad, 3)}), and nothing was saved: resume with a '
                'lower learning rate, with clipped gradients, or in bfloat16 '
                'or float32 instead of float16')
        checkpoint['meta'].update(self._position or {})
        if self._gradients:
            checkpoint['gradients'] = self._gradients

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep accumulated gradients until training continues."""
        gradients = checkpoint.pop('gradients', None)
        if runner.cfg.get('resume'):
            self._gradients = gradients

    def save_interim(self, runner, epoch: int, iteration: int) -> None:
        """Save the current state, unless there is a checkpoint of it.

        Args:
            runner: The runner.
            epoch: Number of complete epochs.
            iteration: Number of complete iterations.
        """
        if iteration != self.saved:
            name = INTERIM.format(iteration)
            self._write(runner, name, epoch, iteration)
            runner.logger.info(f'Saved {name}')

    def _save_checkpoint_with_step(self, runner, step: int,
                                   meta: dict) -> None:
        """Write the periodic checkpoint, then delete outdated ones."""
        ids = [one for one in getattr(self, 'keep_ckpt_ids', ())
               if one != step] + [step]
        if self.max_keep_ckpts > 0:
            # with the outdated ones: if this run is killed before it deletes
            # them, the resumed one does
            runner.message_hub.update_info('keep_ckpt_ids', ids)
        self._write(runner, self.filename_tmpl.format(step), meta['epoch'],
                    meta['iter'])
        if self.max_keep_ckpts > 0:
            kept = ids[-self.max_keep_ckpts:]
            for outdated in ids[:-self.max_keep_ckpts]:
                self._delete(self.filename_tmpl.format(outdated))
            self.keep_ckpt_ids = deque(kept)
            runner.message_hub.update_info('keep_ckpt_ids', kept)

    def _save_best_checkpoint(self, runner, metrics: Dict[str, float]) -> None:
        """Write the best checkpoint so far, then delete the one before."""
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [list(metrics)[0]])
        hub = runner.message_hub
        single = len(self.key_indicators) == 1
        for key, rule in zip(self.key_indicators, self.rules):
            if key not in metrics:
                raise UserError(
                    f'default_hooks.checkpoint.save_best names {key}, which '
                    'is not among the metrics of the validation: '
                    + ', '.join(metrics))
            suffix = '' if single else f'_{key}'
            best = hub.get_info(f'best_score{suffix}',
                                self.init_value_map[rule])
            if metrics[key] is None or not self.is_better_than[key](
                    metrics[key], best):
                continue
            step = runner.epoch if self.by_epoch else runner.iter
            name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace(
                '/', '_')
            before = hub.get_info(f'best_ckpt{suffix}', None)
            hub.update_info(f'best_score{suffix}', metrics[key])
            hub.update_info(f'best_ckpt{suffix}', str(
                Path(self.out_dir, name)))
            if single:  # for published_keys
                self.best_ckpt_path = str(Path(self.out_dir, name))
            else:
                self.best_ckpt_path_dict[key] = str(Path(self.out_dir, name))
            self._write(runner, name, runner.epoch, runner.iter,
                        resumable=False)
            runner.logger.info(f'The best checkpoint, {key} '
                               f'{metrics[key]:0.4f}, is {name}')
            if before and Path(before).name != name:
                self._delete(Path(before).name)

    def _write(self, runner, name: str, epoch: int, iteration: int,
               resumable: bool = True) -> None:
        """Write a checkpoint atomically; any failure is one of all processes.
        """
        for hook in runner.hooks:
            if isinstance(hook, FiniteHook):
                hook.check(runner)
        self._position = dict(epoch=epoch, iter=iteration)
        self._gradients = waiting_gradients(runner) if resumable else None
        if self.watch:
            self.watch.busy = True
        try:
            error = attempt(Path(self.out_dir, name), self._write_file,
                            runner, name, resumable)
            error = next(filter(None, agreement.of_all(error)), None)
        finally:
            self._position = self._gradients = None
            if self.watch:
                self.watch.busy = False
        if error:
            raise UserError(f'{error}. The last checkpoint is {self.last}')
        if resumable:
            self.saved = iteration
            self.last_ckpt = str(Path(self.out_dir, name))

    def _write_file(self, runner, name: str, resumable: bool) -> None:
        path = Path(self.out_dir, name)
        part = path.with_name(f'.{name}.part')
        try:
            runner.save_checkpoint(
                self.out_dir, part.name, by_epoch=self.by_epoch,
                save_optimizer=self.save_optimizer and resumable,
                save_param_scheduler=self.save_param_scheduler and resumable,
                **(self.args if resumable else {}))
            if not self.main:
                return
            broken = broken_record(str(part))
            if broken:
                raise OSError(None, 'the file that was read back is not what '
                              f'was written: {broken}')
            put_in_place(part, path)
        finally:
            if self.main:
                part.unlink(missing_ok=True)
        if resumable:
            point(runner.work_dir, path)
            for other in path.parent.glob(INTERIM.format('*')):
                if other.name != name:
                    other.unlink()

    def _delete(self, name: str) -> None:
        if self.main:
            Path(self.out_dir, name).unlink(missing_ok=True)

    def _restore_gradients(self, runner) -> None:
        """Give the gradients of a checkpoint back to the parameters."""
        gradients, self._gradients = self._gradients, None
        if not gradients:
            return
        if len(gradients) != runner.world_size:
            runner.logger.warning(
                'The gradients that the checkpoint has accumulated are '
                'dropped, because the number of processes changed')
            return
        for param, gradient in zip(runner.model.parameters(),
                                   gradients[runner.rank]):
            if gradient is not None:
                param.grad = gradient.to(param.device)

    def _prepare_folder(self, runner) -> None:
        """Make the folder, remove unfinished files, check the free space."""
        folder = Path(self.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob('.*.part'):
            part.unlink()
        size = checkpoint_bytes(runner) / 1e9
        free = shutil.disk_usage(folder).free / 1e9
        if size > free:
            raise UserError(
                f'{folder} has no room for a checkpoint: it takes about '
                f'{size:.3g} GB, and {free:.3g} GB are free; free some space, '
                'or name another --work-dir')
        # two, because an old one is deleted after the new one is there
        level = logging.WARNING if 2 * size > free else logging.INFO
        runner.logger.log(level, f'A checkpoint takes about {size:.3g} GB, '
                          f'and {free:.3g} GB are free in {folder}')


def attempt(path: Union[str, Path], step: Callable, *args) -> Optional[str]:
    """Run a step that writes a path; return its error, None on success."""
    try:
        step(*args)
    except UserError as error:
        return str(error)
    except OSError as error:
        return (f'{path} cannot be written ({error.strerror or error}): free '
                'some space, and continue with --resume')
    return None


def point(work_dir: str, path: Path) -> None:
    """Let ``last_checkpoint`` name a checkpoint, relative to the work dir."""
    with replacing(Path(work_dir, POINTER)) as pointer:
        pointer.write_text(os.path.relpath(path, work_dir))


def not_finite(tensors: Dict[str, Tensor]) -> Iterator[str]:
    """The names of tensors with a NaN or an infinity."""
    return (name for name, tensor in tensors.items()
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
            and not torch.isfinite(tensor).all())


def waiting_gradients(runner) -> Optional[list]:
    """Gradients accumulated for an update that is not complete, by rank."""
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
        return None
    return agreement.to_first([
        None if param.grad is None else param.grad.detach().cpu()
        for param in runner.model.parameters()])


def checkpoint_bytes(runner) -> int:
    """Least size of a checkpoint: weights, and averages of the optimizer."""
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    adam = 'betas' in getattr(optimizer, 'defaults', {})
    shards = runner.world_size if isinstance(
        runner.model, FullyShardedDataParallel) else 1
    return shards * sum(
        one.nbytes * (3 if adam and one.requires_grad else 1)
        for one in runner.model.parameters())
