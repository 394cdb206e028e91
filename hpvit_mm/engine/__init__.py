"""Training machinery: optimizer construction, hooks, runs."""
from .hooks import PlainCheckpointHook, RankZeroLoggerHook
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = [
    'LayerDecayOptimWrapperConstructor', 'PlainCheckpointHook',
    'RankZeroLoggerHook'
]
