"""Loops of the runner."""
from .knn import KNNTestLoop

__all__ = ['KNNTestLoop']
