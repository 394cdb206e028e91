"""Validation and tests whose failures name the file, shape or process."""
from typing import Any, Union

from mmengine.runner import TestLoop, ValLoop
from torch.utils.data import DataLoader

from hpvit_mm.registry import LOOPS

from ..data.dataset import guarded
from ..failures import explained


@LOOPS.register_module()
class GuardedValLoop(ValLoop):
    """mmengine's ValLoop; a file that cannot be read is named."""

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *args,
                 **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = guarded(dataloader, 'val_dataloader')
        super().__init__(runner, dataloader, *args, **kwargs)

    def run(self) -> dict:
        """Validate."""
        with explained(self.runner, loading=True, loader='val_dataloader'):
            return super().run()

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Validate on a batch."""
        with explained(self.runner, data_batch, loader='val_dataloader'):
            super().run_iter(idx, data_batch)


@LOOPS.register_module()
class GuardedTestLoop(TestLoop):
    """mmengine's TestLoop; a file that cannot be read is named."""

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *args,
                 **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = guarded(dataloader, 'test_dataloader')
        super().__init__(runner, dataloader, *args, **kwargs)

    def run(self) -> dict:
        """Test."""
        with explained(self.runner, loading=True, loader='test_dataloader'):
            return super().run()

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Test on a batch."""
        with explained(self.runner, data_batch, loader='test_dataloader'):
            super().run_iter(idx, data_batch)
