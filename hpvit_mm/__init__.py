"""Hierarchical vision transformers from plain pre-trained ones."""

__version__ = '0.1.0'


def create_backbone(*args, **kwargs):
    """Create a backbone; see ``hpvit_mm.models.create.create_backbone``."""
    from .models.create import create_backbone as create  # imports torch
    return create(*args, **kwargs)
