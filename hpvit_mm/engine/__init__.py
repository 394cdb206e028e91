"""Training machinery: optimizer construction, data, loops, hooks, runs."""
from .bfloat16 import BFloat16OptimWrapper
from .data import GuardedDataset, ResumableBatchSampler
from .fsdp import FSDPStrategy
from .hooks import (CompileHook, DeferredRuntimeInfoHook, FiniteHook,
                    PlainCheckpointHook, PreemptionHook, RankZeroLoggerHook,
                    RunRecordHook, SafeCheckpointHook, WatchdogHook)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import (GuardedTestLoop, GuardedValLoop, KNNTestLoop,
                    ResumableEpochLoop, ResumableIterLoop)

__all__ = [
    'BFloat16OptimWrapper', 'CompileHook', 'DeferredRuntimeInfoHook',
    'FSDPStrategy', 'FiniteHook', 'GuardedDataset', 'GuardedTestLoop',
    'GuardedValLoop', 'KNNTestLoop', 'LayerDecayOptimWrapperConstructor',
    'PlainCheckpointHook', 'PreemptionHook', 'RankZeroLoggerHook',
    'ResumableBatchSampler', 'ResumableEpochLoop', 'ResumableIterLoop',
    'RunRecordHook', 'SafeCheckpointHook', 'WatchdogHook'
]
