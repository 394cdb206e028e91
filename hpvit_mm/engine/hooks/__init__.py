from .compile import CompileHook
from .logger import RankZeroLoggerHook
from .plain_checkpoint import PlainCheckpointHook

__all__ = ['CompileHook', 'PlainCheckpointHook', 'RankZeroLoggerHook']
