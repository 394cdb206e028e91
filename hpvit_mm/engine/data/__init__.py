"""What lies around the data sets and samplers of the hosts."""
from .dataset import GuardedDataset
from .sampler import Draw, ResumableBatchSampler

__all__ = ['Draw', 'GuardedDataset', 'ResumableBatchSampler']
