"""Sample data: real pixels in the folder structures of the four data sets.

They are read by the data set classes of mmpretrain, mmdet and mmseg.
"""
from .make import check_samples, make_samples

__all__ = ['check_samples', 'make_samples']
