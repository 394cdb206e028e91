"""Hook that ends a run when a scheduler asks it to."""
from typing import Any, Optional, Sequence

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

from hpvit_mm.errors import Preempted, UserError
from hpvit_mm.registry import HOOKS

from .. import agreement
from ..signals import SignalWatch
from .checkpoint import SafeCheckpointHook


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Save a checkpoint and end when any process gets SIGTERM or SIGUSR1.

    All processes finish the same iteration and save together; then
    ``tools/train.py`` ends with status 75, and ``--resume`` continues at the
    next iteration. A validation is interrupted: resuming starts it again from
    the checkpoint in front of it. A second signal ends the run at once, and
    so does the first one if the iteration takes longer than ``grace``.

    Args:
        grace: Seconds between the signal and the start of the saving.
            Defaults to 25, which leaves 5 of the 30 that torchrun and slurm
            give by default.

    Raises:
        UserError: If ``grace`` is not positive.
    """

    priority = 'LOWEST'  # after the periodic checkpoint

    def __init__(self, grace: float = 25) -> None:
        if not grace > 0:
            raise UserError('grace of PreemptionHook must be a positive '
                            f'number of seconds, not {grace}')
        self.grace = grace
        self.watch: Optional[SignalWatch] = None

    def before_train(self, runner) -> None:
        """Listen, before there are DataLoader workers."""
        self.checkpoints = SafeCheckpointHook.of(runner)
        self.any_process = agreement.AnyProcess()
        self.watch = self.checkpoints.watch = SignalWatch(self.grace)
        self.watch.start()

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """Save and end, in all processes at the same iteration."""
        if self._asked():
            loop = runner.train_loop
            # mmengine's epoch loop restarts the epoch: it would count it twice
            if getattr(loop, 'resumes_anywhere', False) or not isinstance(
                    loop, EpochBasedTrainLoop):
                self.checkpoints.save_interim(
                    runner, runner.epoch, runner.iter + 1)
            raise Preempted(f'{self.checkpoints.last} is saved')

    def before_val(self, runner) -> None:
        """Find the number of batches that all processes validate."""
        self.common = min(agreement.of_all(len(runner.val_dataloader)))

    def after_val_iter(self, runner, batch_idx: int, data_batch: Any = None,
                       outputs: Optional[Sequence] = None) -> None:
        """Leave a validation, in all processes at the same batch."""
        if self.watch and batch_idx < self.common and self._asked():
            raise Preempted('the validation will be done again')

    def after_train(self, runner) -> None:
        """Restore the signal handlers."""
        self.any_process.answer()
        self.close()

    def close(self) -> None:
        """Restore the signal handlers, however the run ended."""
        if self.watch:
            self.watch.stop()

    def _asked(self) -> bool:
        return self.any_process.ask(self.watch.received is not None)
