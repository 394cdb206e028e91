"""Metrics of a test, written by one process."""
from typing import Dict, Optional

from mmengine.hooks import LoggerHook

from hpvit_mm.registry import HOOKS


@HOOKS.register_module()
class RankZeroLoggerHook(LoggerHook):
    """mmengine's LoggerHook, whose file of test metrics only rank 0 writes.

    In mmengine 0.10.7 all processes write the one file at the same time, each
    with its own measured times, and what is left of two texts of different
    length is not always JSON. It can go when mmengine lets one of them write.
    """

    def after_test_epoch(self, runner,
                         metrics: Optional[Dict[str, float]] = None) -> None:
        """Log the metrics, and write them to the log dir."""
        if runner.rank == 0:
            super().after_test_epoch(runner, metrics)
