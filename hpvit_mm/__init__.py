"""Hierarchical vision transformers from pre-trained plain ones, for OpenMMLab."""

__version__ = '0.1.0'
