"""Loops of the runner."""
from .evaluate import GuardedTestLoop, GuardedValLoop
from .knn import KNNTestLoop
from .train import ResumableEpochLoop, ResumableIterLoop

__all__ = [
    'GuardedTestLoop', 'GuardedValLoop', 'KNNTestLoop', 'ResumableEpochLoop',
    'ResumableIterLoop'
]
