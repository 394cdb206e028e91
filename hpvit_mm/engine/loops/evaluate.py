"""Validation and test loops whose failures name the file or the shape."""
from typing import Any, Union

from mmengine.runner import TestLoop, ValLoop
from torch.utils.data import DataLoader

from hpvit_mm.registry import LOOPS

from ..data.dataset import guarded
from ..failures import explained


class Guarded:
    """What both loops share: the guarded dataset, and explained failures."""
    loader: str  # its name in the config

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *args,
                 **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = guarded(dataloader, self.loader)
        super().__init__(runner, dataloader, *args, **kwargs)

    def run(self) -> dict:
        """Evaluate."""
        with explained(self.runner, loading=True, loader=self.loader):
            return super().run()

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Evaluate one batch."""
        with explained(self.runner, data_batch, loader=self.loader):
            super().run_iter(idx, data_batch)


@LOOPS.register_module()
class GuardedValLoop(Guarded, ValLoop):
    """mmengine's ValLoop; a file that cannot be read is named."""
    loader = 'val_dataloader'


@LOOPS.register_module()
class GuardedTestLoop(Guarded, TestLoop):
    """mmengine's TestLoop; a file that cannot be read is named."""
    loader = 'test_dataloader'
