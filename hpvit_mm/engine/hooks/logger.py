"""Logger hook for tests in several processes."""
from typing import Dict, Optional

from mmengine.hooks import LoggerHook

from hpvit_mm.registry import HOOKS


@HOOKS.register_module()
class RankZeroLoggerHook(LoggerHook):
    """mmengine's LoggerHook, but only rank 0 writes the test metrics.

    In mmengine 0.10.7 all processes write the same file at the same time, and
    the result is not always valid JSON. It can go when mmengine is fixed.
    """

    def after_test_epoch(self, runner,
                         metrics: Optional[Dict[str, float]] = None) -> None:
        """Log the metrics and write them to the log dir."""
        if runner.rank == 0:
            super().after_test_epoch(runner, metrics)
