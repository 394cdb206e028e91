from .logger import RankZeroLoggerHook
from .plain_checkpoint import PlainCheckpointHook

__all__ = ['PlainCheckpointHook', 'RankZeroLoggerHook']
