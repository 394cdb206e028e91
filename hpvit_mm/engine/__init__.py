"""Training machinery: optimizer construction, hooks, runs."""
from .bfloat16 import BFloat16OptimWrapper
from .hooks import PlainCheckpointHook, RankZeroLoggerHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import KNNTestLoop

__all__ = [
    'BFloat16OptimWrapper', 'KNNTestLoop',
    'LayerDecayOptimWrapperConstructor', 'PlainCheckpointHook',
    'RankZeroLoggerHook'
]
