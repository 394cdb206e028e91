"""Backbones outside of configs."""
import difflib
import inspect
from pathlib import Path
from typing import List, Optional, Union

import torch

from hpvit_mm.errors import UserError
from .backbones import HPViT


class FeatureInfo(list):
    """Description of the outputs of a backbone, as timm's.

    A list of dicts with 'num_chs', 'reduction' (the stride in pixels) and
    'module' (the name of the output's norm).
    """

    def channels(self) -> List[int]:
        return [one['num_chs'] for one in self]

    def reduction(self) -> List[int]:
        return [one['reduction'] for one in self]

    def module_name(self) -> List[str]:
        return [one['module'] for one in self]


def create_backbone(arch: Union[str, dict, None] = None,
                    checkpoint: Optional[str] = None, **kwargs) -> HPViT:
    """Create a backbone, with its pre-trained weights.

    For example ``create_backbone('dinov3-base', 'dinov3_vitb16.pth',
    out_indices=(1, 2, 3))``; ``backbone.feature_info.channels()`` and
    ``.reduction()`` describe the maps that it returns.

    Args:
        arch: As of HPViT, with the grid of the checkpoint's positions unless
            ``img_size`` is given. Defaults to None: that of the checkpoint,
            if the file tells.
        checkpoint: A file, a URL, or a folder of Hugging Face. Defaults to
            None: the parameters are random.
        **kwargs: Further arguments of HPViT, and ``init_cfg`` for further
            entries of it, such as ``dict(sha256=...)``.

    Returns:
        The backbone, in evaluation mode.

    Raises:
        UserError: If an argument is wrong, if the checkpoint cannot be read
            or does not fit, or if it does not tell its architecture.
    """
    known = inspect.signature(HPViT).parameters
    for name in kwargs.keys() - known:
        near = difflib.get_close_matches(name, known, 1)
        raise UserError(
            f'create_backbone has no argument {name!r}: '
            + (f'did you mean {near[0]!r}? ' if near else '')
            + 'Weights are given by checkpoint=FILE, maps by out_indices or '
            'out_blocks; all arguments are those of hpvit_mm.HPViT.')
    init_cfg = kwargs.pop('init_cfg', None) or {}
    if not isinstance(init_cfg, dict):
        raise UserError(f'init_cfg must be a dict, but it is {init_cfg!r}.')
    options = dict(init_cfg)
    files = {str(one) for one in (options.pop('checkpoint', None), checkpoint)
             if one is not None}
    if options.pop('type', 'Pretrained') != 'Pretrained' or len(
            files) > 1 or init_cfg and not files or not isinstance(
            checkpoint, (str, Path, type(None))):
        raise UserError(
            'create_backbone takes one path by checkpoint=FILE, and by '
            'init_cfg=dict(...) what else the loading needs, such as prefix.')
    checkpoint = files.pop() if files else None
    if arch is None:
        if checkpoint is None:
            raise UserError('create_backbone needs arch, such as '
                            "'dinov3-base', or a checkpoint that tells it.")
        from hpvit_mm.checkpoints.convert import told_arguments
        kwargs = dict(told_arguments(
            checkpoint, options, kwargs.get('img_size')), **kwargs)
    else:
        kwargs['arch'] = arch
        if checkpoint is not None and 'img_size' not in kwargs:
            kwargs.update(_img_size_of(checkpoint, options, kwargs))
    if checkpoint is not None:
        kwargs['init_cfg'] = dict(options, type='Pretrained',
                                  checkpoint=str(checkpoint))
    backbone = HPViT(**kwargs)
    if checkpoint is not None:
        backbone.init_weights()
    outputs = [f'norms.{name}' for name in backbone.norms]
    backbone.feature_info = FeatureInfo(
        dict(num_chs=channels, reduction=stride, module=module)
        for channels, stride, module in zip(
            backbone.out_channels, backbone.out_strides, outputs))
    return backbone.eval()


def _img_size_of(checkpoint: str, options: dict, kwargs: dict) -> dict:
    """Return the ``img_size`` that keeps the grid of a file's positions."""
    from hpvit_mm.checkpoints.plain import read_plain
    from hpvit_mm.checkpoints.positions import size_of
    from hpvit_mm.checkpoints.read import read_checkpoint
    with torch.device('meta'):
        backbone = HPViT(**kwargs)
    if not backbone.arch['abs_pos']:
        return {}
    plain = read_plain(
        read_checkpoint(checkpoint, options.get('sha256')), str(checkpoint),
        options.get('prefix'), options.get('drop', ()), backbone.pos_grid)
    return dict(img_size=size_of(plain.grid, backbone.patch_size)) \
        if plain.grid else {}
