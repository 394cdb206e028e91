"""Pre-training on mmpretrain's classes, which configs import on demand:
``custom_imports=dict(imports=['hpvit_mm.models.pretraining'])``.
"""
from .distill import DistilledMAE
from .greenmim import GreenMIM, MaskedSwin
from .mae import MAE, MAEDecoder
from .uniform import UniformMAE, UniformSwin

__all__ = ['DistilledMAE', 'GreenMIM', 'MAE', 'MAEDecoder', 'MaskedSwin',
           'UniformMAE', 'UniformSwin']
