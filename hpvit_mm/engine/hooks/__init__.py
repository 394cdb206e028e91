from .compile import CompileHook
from .logger import RankZeroLoggerHook
from .plain_checkpoint import PlainCheckpointHook
from .runtime_info import DeferredRuntimeInfoHook

__all__ = [
    'CompileHook', 'DeferredRuntimeInfoHook', 'PlainCheckpointHook',
    'RankZeroLoggerHook'
]
