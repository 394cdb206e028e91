"""Checkpoints of which there is always one that loads."""
import os
import re
import shutil
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, List, Optional

import torch
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from hpvit_mm.checkpoints.file import broken_record
from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS
from hpvit_mm.utils import flush, replacing

from .. import agreement
from .finite import FiniteHook

POINTER = 'last_checkpoint'
INTERIM = 'interim_iter_{}.pth'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, all or nothing, and the old ones last.

    A checkpoint is written beside its place, flushed to the disk, read again
    and compared with its checksums, and only then takes its place; then
    ``last_checkpoint`` names it, relative to the work dir, so that this may be
    moved; and only then those are deleted that are too many. So whenever a
    run is killed, or the disk is full, there is a checkpoint that loads, with
    ``max_keep_ckpts=1`` as well.

    mmengine 0.10.7 deletes the oldest one first, writes in place, and writes
    the newest one again when a validation was the best so far. Here the best
    one is a file of its own; a run that is resumed in front of a validation
    does it again, so that nothing of it needs to be in that checkpoint.

    *Interim* checkpoints, ``interim_iter_N.pth``, are written in front of a
    validation and where a run is asked to end, if there is none of that
    iteration; the next one replaces them. Gradients that wait for others to
    be accumulated are saved with the rest. Weights that are not finite are
    not saved: that is an error.

    All arguments are those of mmengine's CheckpointHook; ``out_dir`` must be
    a local folder.

    Raises:
        UserError: If ``out_dir`` is not local, or arguments do not fit
            together; in training, if a checkpoint cannot be written, or is
            not finite.
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
                    'SafeCheckpointHook writes to local folders only, so '
                    'that a checkpoint can take its place at once: leave '
                    'backend_args away and correct out_dir, or use '
                    "mmengine's CheckpointHook")
        self.watch = None  # a SignalWatch, which waits for the writing
        self._reset()

    def _reset(self) -> None:
        self._position: Optional[dict] = None
        self._gradients: Optional[list] = None
        self.saved = 0  # the iteration of the last one that can be resumed

    @staticmethod
    def of(runner) -> 'SafeCheckpointHook':
        """That of a runner."""
        for hook in runner.hooks:
            if isinstance(hook, SafeCheckpointHook):
                return hook
        raise UserError(
            'default_hooks.checkpoint must be a hpvit_mm.SafeCheckpointHook, '
            'which other hooks and loops here rely on')

    @property
    def last(self) -> str:
        """What messages say about the last checkpoint."""
        return str(self.last_ckpt or 'no checkpoint')

    def before_train(self, runner) -> None:
        """Tidy up after a run that was killed, and foresee a full disk."""
        self.main = runner.rank == 0
        error = None
        if self.main:
            try:
                self._point_to_resumed(runner)
            except UserError as one:
                error = str(one)
        super().before_train(runner)  # deletes what is too many
        self.saved = runner.iter
        self._give_gradients(runner)
        if not (self.save_optimizer and self.save_param_scheduler):
            runner.logger.warning(
                'default_hooks.checkpoint leaves the optimizer or the '
                'schedule out of checkpoints (save_optimizer, '
                'save_param_scheduler): this run cannot be resumed')
        if self.main and not error:
            folder = Path(self.out_dir)
            folder.mkdir(parents=True, exist_ok=True)
            for part in folder.glob('.*.part'):
                remove(part)
            error = self._foresee(runner)
        error = agreement.of_first(error)
        if error:
            raise UserError(error)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Look at the weights, and say where training stands."""
        for entry in ('state_dict', 'ema_state_dict'):
            bad = not_finite(checkpoint.get(entry, {}))
            if bad:
                raise UserError(
                    f'the weights are not finite at iteration {runner.iter} '
                    f'({", ".join(bad[:3])}'
                    + (f' and {len(bad) - 3} more' if bad[3:] else '')
                    + f'): nothing was saved. The last checkpoint is '
                    f'{self.last}; resume from it with a lower learning '
                    'rate, with clipped gradients, or in bfloat16 or float32 '
                    'instead of float16')
        if self._position:
            checkpoint['meta'].update(self._position)
        if self._gradients:
            checkpoint['gradients'] = self._gradients
        sizes = {name: [int(side) for side in module._input_size]
                 for name, module in resizing(runner).items()
                 if module._input_size is not None}
        if sizes:
            checkpoint['meta']['sizes'] = sizes

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep accumulated gradients until training continues, and restore
        what the model has drawn for more than an iteration."""
        gradients = checkpoint.pop('gradients', None)
        if not runner.cfg.get('resume'):
            return
        self._gradients = gradients
        sizes = checkpoint['meta'].get('sizes', {})
        for name, module in resizing(runner).items():
            if name in sizes:
                module._input_size = tuple(sizes[name])

    def save_interim(self, runner, epoch: int, iteration: int) -> None:
        """Save the present state, unless that was done.

        Args:
            runner: The runner.
            epoch: How many epochs are complete.
            iteration: How many iterations are complete.
        """
        if iteration == self.saved:
            return
        name = INTERIM.format(iteration)
        self._write(runner, name, epoch, iteration)
        runner.logger.info(f'Saved {name}')

    def _save_checkpoint_with_step(self, runner, step: int,
                                   meta: dict) -> None:
        """Write the periodic checkpoint, then delete what is too many."""
        hub = runner.message_hub
        ids = [one for one in getattr(self, 'keep_ckpt_ids', ())
               if one != step] + [step]
        keep = self.max_keep_ckpts if self.max_keep_ckpts > 0 else len(ids)
        if self.max_keep_ckpts > 0:
            # With those that will be deleted: if this run has no time for
            # it, that which resumes will do it.
            hub.update_info('keep_ckpt_ids', ids)
        self._write(runner, self.filename_tmpl.format(step), meta['epoch'],
                    meta['iter'])
        if self.max_keep_ckpts > 0:
            for outdated in ids[:-keep]:
                self._delete(self.filename_tmpl.format(outdated))
            self.keep_ckpt_ids = deque(ids[-keep:])
            hub.update_info('keep_ckpt_ids', ids[-keep:])

    def _save_best_checkpoint(self, runner, metrics: Dict[str, float]) -> None:
        """Write the best one so far, then delete the one before."""
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [list(metrics)[0]])
        hub = runner.message_hub
        for key, rule in zip(self.key_indicators, self.rules):
            if key not in metrics:
                raise UserError(
                    f'default_hooks.checkpoint.save_best names {key}, which '
                    'is not among the metrics of the validation: '
                    + ', '.join(metrics))
            single = len(self.key_indicators) == 1
            suffix = '' if single else f'_{key}'
            best = hub.get_info(f'best_score{suffix}',
                                self.init_value_map[rule])
            if metrics[key] is None or not self.is_better_than[key](
                    metrics[key], best):
                continue
            step = runner.epoch if self.by_epoch else runner.iter
            name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace(
                '/', '_')
            path = str(Path(self.out_dir, name))
            before = self.best_ckpt_path if single \
                else self.best_ckpt_path_dict[key]
            hub.update_info(f'best_score{suffix}', metrics[key])
            hub.update_info(f'best_ckpt{suffix}', path)
            if single:
                self.best_ckpt_path = path
            else:
                self.best_ckpt_path_dict[key] = path
            self._write(runner, name, runner.epoch, runner.iter,
                        resumable=False)
            runner.logger.info(f'The best checkpoint, {key} '
                               f'{metrics[key]:0.4f}, is {name}')
            if before and Path(before).name != name:
                self._delete(Path(before).name)

    def _write(self, runner, name: str, epoch: int, iteration: int,
               resumable: bool = True) -> None:
        """Write a checkpoint, all or nothing, together."""
        for hook in runner.hooks:
            if isinstance(hook, FiniteHook):
                hook.look(runner)
        self._position = dict(epoch=epoch, iter=iteration)
        self._gradients = waiting_gradients(runner) if resumable else None
        if self.watch:
            self.watch.busy = True
        try:
            error = self._try_to_write(runner, name, resumable)
        finally:
            self._position = self._gradients = None
            if self.watch:
                self.watch.busy = False
        if error:
            raise UserError(error)
        if resumable:
            self.saved = iteration
            self.last_ckpt = str(Path(self.out_dir, name))

    def _try_to_write(self, runner, name: str,
                      resumable: bool) -> Optional[str]:
        """Returns what is to be said if it cannot be written, in any process.

        The first process goes on with the file only where each has left what
        mmengine does to write it, and nobody else removes it.
        """
        path = Path(self.out_dir, name)
        part = path.with_name(f'.{name}.part')
        try:
            error = self._attempt(
                path, runner.save_checkpoint, self.out_dir, part.name,
                by_epoch=self.by_epoch,
                save_optimizer=self.save_optimizer and resumable,
                save_param_scheduler=self.save_param_scheduler and resumable,
                **(self.args if resumable else {}))
            error = next(filter(None, agreement.of_all(error)), None)
            if self.main and not error:
                error = self._attempt(path, self._put_in_place, runner, part,
                                      path, resumable)
            return agreement.of_first(error)
        finally:
            if self.main:
                remove(part)

    def _attempt(self, path: Path, step: Callable, *args,
                 **options) -> Optional[str]:
        """Do a step of writing; returns what is to be said if it fails."""
        try:
            step(*args, **options)
        except UserError as error:
            return str(error)
        except OSError as error:
            free = shutil.disk_usage(self.out_dir).free
            return (f'{path} cannot be written ({error.strerror or error}; '
                    f'{size_text(free)} are free there). Nothing that was '
                    f'there is lost: the last checkpoint is {self.last}. '
                    'Free some space, and continue with --resume')
        return None

    def _put_in_place(self, runner, part: Path, path: Path,
                      resumable: bool) -> None:
        """Make a file that is written a checkpoint, and the last one."""
        check_written(part)
        flush(part)
        os.replace(part, path)
        flush(path.parent)
        if resumable:
            point(runner.work_dir, path)
            for other in path.parent.glob(INTERIM.format('*')):
                if other.name != path.name:
                    other.unlink()

    def _point_to_resumed(self, runner) -> None:
        """The last run may have been killed before it named its last one."""
        resumed = runner.iter and runner.cfg.get('load_from')
        if resumed and Path(resumed).is_file():
            self.last_ckpt = str(resumed)
            point(runner.work_dir, Path(resumed))

    def _delete(self, name: str) -> None:
        if self.main:
            remove(Path(self.out_dir, name))

    def _give_gradients(self, runner) -> None:
        """Gradients that a checkpoint has, back to the parameters."""
        gradients, self._gradients = self._gradients, None
        if not gradients:
            return
        if len(gradients) != runner.world_size:
            runner.logger.warning(
                'The checkpoint is from within an update, whose first '
                'gradients are lost, because the number of processes changed')
            return
        for param, gradient in zip(runner.model.parameters(),
                                   gradients[runner.rank]):
            if gradient is not None:
                param.grad = gradient.to(param.device)

    def _foresee(self, runner) -> Optional[str]:
        """Log the space that checkpoints need; what to say if it is not there.
        """
        whole, weights = checkpoint_bytes(runner)
        limit = runner.max_epochs if self.by_epoch else runner.max_iters
        now = runner.epoch if self.by_epoch else runner.iter
        coming = (limit - now) // self.interval + 1 if self.interval > 0 \
            else int(self.save_last)
        present = [path for path in Path(self.out_dir).glob('*.pth')
                   if re.fullmatch(r'(epoch|iter)_\d+\.pth', path.name)]
        if self.max_keep_ckpts > 0:
            coming = min(coming, max(0, self.max_keep_ckpts - len(present)))
        best = len(self.key_indicators) if self.save_best else 0
        # One more of each, because the old one is deleted last.
        needed = (coming + 1) * whole + (best + bool(best)) * weights
        free = shutil.disk_usage(self.out_dir).free
        text = (f'checkpoints need {size_text(needed)} in {self.out_dir}, '
                f'{size_text(whole)} each, and {size_text(free)} are free')
        runner.logger.info(text[0].upper() + text[1:])
        if needed <= free:
            return None
        return (text + ': free some space, name another --work-dir, or keep '
                'fewer with --cfg-options '
                'default_hooks.checkpoint.max_keep_ckpts=1')


def point(work_dir: str, path: Path) -> None:
    """Let ``last_checkpoint`` name a checkpoint, relative to the work dir."""
    with replacing(Path(work_dir, POINTER)) as pointer:
        pointer.write_text(os.path.relpath(path, work_dir))


def remove(path: Path) -> None:
    """Remove a checkpoint, if it is there and may be removed."""
    with suppress(OSError):
        path.unlink()


def check_written(path: Path) -> None:
    """Read a checkpoint again, and compare it with its checksums."""
    broken = broken_record(str(path))
    if broken:
        raise OSError(None, f'what was read again is not what was written: '
                      f'{broken}')


def not_finite(tensors: Dict[str, Tensor]) -> List[str]:
    """The names of tensors with a NaN or an infinity."""
    return [name for name, tensor in tensors.items()
            if isinstance(tensor, Tensor) and tensor.is_floating_point()
            and not torch.isfinite(tensor).all()]


def waiting_gradients(runner) -> Optional[list]:
    """Gradients of a step that is not complete, of each process.

    With accumulated gradients an iteration may end without an update; each
    process has gradients of its own then.
    """
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, OptimWrapper) or wrapper.should_update():
        return None
    return agreement.to_first([
        None if param.grad is None else param.grad.detach().cpu()
        for param in runner.model.parameters()])


def resizing(runner) -> Dict[str, nn.Module]:
    """mmdet's BatchSyncRandomResize, which keeps a drawn size for a while."""
    model = runner.model.module if is_model_wrapper(runner.model) \
        else runner.model
    return {name: module for name, module in model.named_modules()
            if hasattr(module, '_input_size')}


def checkpoint_bytes(runner) -> tuple:
    """The size of a checkpoint, and of its weights alone."""
    model = runner.model.module if is_model_wrapper(runner.model) \
        else runner.model
    weights = sum(one.nbytes for one in (*model.parameters(),
                                         *model.buffers()))
    trained = sum(one.nbytes for one in model.parameters()
                  if one.requires_grad)
    if 'FSDP' in type(runner.model).__name__ or 'FullySharded' in type(
            runner.model).__name__:  # this process has its share
        weights, trained = (n * runner.world_size for n in (weights, trained))
    averaged = any('EMA' in type(hook).__name__ for hook in runner.hooks)
    optimizer = getattr(runner.optim_wrapper, 'optimizer', None)
    # Adam and its kin average gradients and their squares
    states = 2 if 'betas' in getattr(optimizer, 'defaults', {}) else 1
    weights *= 1 + averaged
    return weights + states * trained, weights


def size_text(count: float) -> str:
    """A number of bytes, to be read."""
    for unit in ('bytes', 'KB', 'MB', 'GB'):
        if count < 1000 or unit == 'GB':
            break
        count /= 1000
    return f'{count:.3g} {unit}' if count < 1000 else f'{count:.0f} {unit}'
