"""Training machinery: optimizer construction, hooks, runs."""
from .hooks import PlainCheckpointHook
from .layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ['LayerDecayOptimWrapperConstructor', 'PlainCheckpointHook']
