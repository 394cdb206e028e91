"""Sample data: real pixels in the folder structures of the four data sets.

They are read by the data set classes of mmpretrain, mmdet and mmseg.
"""
from .make import make_samples

__all__ = ['make_samples']
