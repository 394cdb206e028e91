"""Training machinery: optimizer construction, hooks, runs."""
from .bfloat16 import BFloat16OptimWrapper
from .fsdp import FSDPStrategy
from .hooks import (CompileHook, DeferredRuntimeInfoHook,
                    PlainCheckpointHook, RankZeroLoggerHook)
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import KNNTestLoop

__all__ = [
    'BFloat16OptimWrapper', 'CompileHook', 'DeferredRuntimeInfoHook',
    'FSDPStrategy', 'KNNTestLoop', 'LayerDecayOptimWrapperConstructor',
    'PlainCheckpointHook', 'RankZeroLoggerHook'
]
