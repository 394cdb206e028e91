"""Training machinery: optimizer construction, hooks, runs."""
from .hooks import PlainCheckpointHook, RankZeroLoggerHook
from .layer_decay import LayerDecayOptimWrapperConstructor
from .loops import KNNTestLoop

__all__ = [
    'KNNTestLoop', 'LayerDecayOptimWrapperConstructor', 'PlainCheckpointHook',
    'RankZeroLoggerHook'
]
