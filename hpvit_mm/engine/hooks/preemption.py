"""Runs that a scheduler asks to end."""
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
    """Saves a checkpoint and ends, when any process got SIGTERM or SIGUSR1.

    All processes finish the same iteration, and save together; ``tools/
    train.py`` then ends with status 75, and ``--resume`` continues at the next
    iteration. A validation is not finished: the checkpoint in front of it is
    there, and resuming does it again. A second signal ends at once, and so
    does the first one where an iteration takes longer than ``grace``.

    Args:
        grace: Seconds between the signal and the beginning of the saving.
            Defaults to 25, which leaves 5 of the 30 that torchrun and slurm
            give by default.

    Raises:
        UserError: If ``grace`` is not positive.
    """

    priority = 'LOWEST'  # after the periodic checkpoint

    def __init__(self, grace: float = 25) -> None:
        if not grace > 0:
            raise UserError('grace of PreemptionHook must be a number of '
                            f'seconds above 0, not {grace}')
        self.grace = grace
        self.watch: Optional[SignalWatch] = None

    def before_train(self, runner) -> None:
        """Listen to the signals, before there are processes for the data."""
        self.checkpoints = SafeCheckpointHook.of(runner)
        self.any_process = agreement.AnyProcess()
        self.watch = self.checkpoints.watch = SignalWatch(self.grace)
        self.watch.start()

    def after_train_iter(self, runner, batch_idx: int, data_batch: Any = None,
                         outputs: Optional[dict] = None) -> None:
        """End together, at the same iteration."""
        if self.any_process.ask(self.watch.received is not None):
            loop = runner.train_loop
            # mmengine's would begin the epoch again, and count it twice
            if getattr(loop, 'resumes_anywhere', False) or not isinstance(
                    loop, EpochBasedTrainLoop):
                self.checkpoints.save_interim(
                    runner, runner.epoch, runner.iter + 1)
            raise Preempted(f'{self.checkpoints.last} is saved')

    def after_val_iter(self, runner, batch_idx: int, data_batch: Any = None,
                       outputs: Optional[Sequence] = None) -> None:
        """Leave a validation, which the checkpoint before it remembers."""
        if self.watch and self.watch.received is not None:
            agreement.announce_end()  # others may wait for this process
            raise Preempted('the validation will be done again')

    def after_train(self, runner) -> None:
        """Leave signals alone."""
        self.any_process.answer()
        self.close()

    def close(self) -> None:
        """Stop listening, however a run has ended."""
        if self.watch:
            self.watch.stop()
