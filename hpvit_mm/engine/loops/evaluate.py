"""Validation and test loops whose failures name the file or the shape."""
from contextlib import contextmanager
from typing import Any, Iterator, Optional, Union

import torch
from mmengine.device import get_device
from mmengine.runner import TestLoop, ValLoop
from torch.utils.data import DataLoader

from hpvit_mm.errors import UserError
from hpvit_mm.registry import LOOPS

from ..bfloat16 import box_makers, exact_boxes
from ..data.dataset import guarded
from ..failures import explained


class Guarded:
    """Base of both loops: the guarded dataset, and explained failures."""
    loader: str  # its name in the config

    def __init__(self, runner, dataloader: Union[DataLoader, dict], *args,
                 **kwargs) -> None:
        if isinstance(dataloader, dict):
            dataloader = guarded(dataloader, self.loader)
        super().__init__(runner, dataloader, *args, **kwargs)
        if self.dataloader.drop_last and not len(self.dataloader):
            raise UserError(
                f'{self.loader} has no batch: drop_last drops the only one, '
                f'of {len(self.dataloader.dataset)} images; use a smaller '
                'batch_size, or drop_last=False')

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
    """mmengine's TestLoop; a file that cannot be read is named.

    Args:
        args: Those of mmengine's TestLoop.
        amp_dtype: 'float16' or 'bfloat16' to test in mixed precision; boxes
            of detectors stay in float32. Defaults to None.
        kwargs: Those of mmengine's TestLoop.
    """
    loader = 'test_dataloader'

    def __init__(self, *args, amp_dtype: Optional[str] = None,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.amp_dtype = amp_dtype

    def run(self) -> dict:
        """Test."""
        with self.precision():
            return super().run()

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Let mmengine's autocast compute in ``amp_dtype``, if it is set."""
        if self.amp_dtype is None:
            yield
            return
        device = get_device()
        before = torch.get_autocast_dtype(device)
        self.fp16 = True
        torch.set_autocast_dtype(device, getattr(torch, self.amp_dtype))
        try:
            with exact_boxes(box_makers(self.runner.model)):
                yield
        finally:
            torch.set_autocast_dtype(device, before)
