"""Pre-training on mmpretrain's classes, which configs import on demand:
``custom_imports=dict(imports=['hpvit_mm.models.pretraining'])``.
"""
from .mae import MAE, MAEDecoder

__all__ = ['MAE', 'MAEDecoder']
