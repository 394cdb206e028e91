"""Hooks for mmengine's runner."""
from .plain_checkpoint import PlainCheckpointHook

__all__ = ['PlainCheckpointHook']
