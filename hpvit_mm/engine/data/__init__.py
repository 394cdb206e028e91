"""Wrappers of datasets and samplers."""
from .dataset import GuardedDataset
from .sampler import Draw, ResumableBatchSampler

__all__ = ['Draw', 'GuardedDataset', 'ResumableBatchSampler']
