"""Families of plain ViT checkpoints: one module each.

A family is recognised by names that no other one has, and renamed to MAE's
names. To add one, write a module with a ``FAMILY`` and list it here, before
those whose marks its files match too.
"""
from typing import Iterable, Optional

from . import (aimv2, beit, clip, deit3, dinov2, dinov3, hpvit, hugging_face,
               mae, openmmlab, vitdet)
from .base import (Family, fuse_mlp, fuse_qkv, rename, split_bias, split_mlp,
                   split_qkv)

FAMILIES = (
    hpvit.FAMILY,
    *(module.HUGGING_FACE for module in (aimv2, clip, dinov3)),
    *(module.FAMILY for module in (
        hugging_face, openmmlab, aimv2, clip, vitdet, dinov3, beit, dinov2,
        deit3, mae)))
# Files that `convert_checkpoint.py --to` writes; for 'hf', HUGGING_FACE.
TARGETS = dict(mae=mae.TARGET, timm=mae.TIMM, mmpretrain=openmmlab.TARGET)
# Models of transformers, by the model_type of their config.json.
HUGGING_FACE = dict(
    vit=hugging_face.VIT, deit=hugging_face.DEIT, ijepa=hugging_face.IJEPA,
    beit=beit.TARGET, dinov2=hugging_face.DINOV2,
    dinov2_with_registers=hugging_face.DINOV2_REGISTERS,
    dinov3_vit=dinov3.TARGET, clip_vision_model=clip.TARGET,
    siglip_vision_model=clip.SIGLIP, aimv2_vision_model=aimv2.TARGET)


def recognise(names: Iterable[str]) -> Optional[Family]:
    """Return the family of a file with these names, None if unknown."""
    names = tuple(names)
    return next((one for one in FAMILIES if one.matches(names)), None)


__all__ = [
    'FAMILIES', 'HUGGING_FACE', 'TARGETS', 'Family', 'fuse_mlp', 'fuse_qkv',
    'recognise', 'rename', 'split_bias', 'split_mlp', 'split_qkv'
]
