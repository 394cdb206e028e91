from .checkpoint import SafeCheckpointHook
from .compile import CompileHook
from .finite import FiniteHook
from .logger import RankZeroLoggerHook
from .plain_checkpoint import PlainCheckpointHook
from .preemption import PreemptionHook
from .record import RunRecordHook
from .runtime_info import DeferredRuntimeInfoHook
from .watchdog import WatchdogHook

__all__ = [
    'CompileHook', 'DeferredRuntimeInfoHook', 'FiniteHook',
    'PlainCheckpointHook', 'PreemptionHook', 'RankZeroLoggerHook',
    'RunRecordHook', 'SafeCheckpointHook', 'WatchdogHook'
]
