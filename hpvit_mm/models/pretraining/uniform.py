"""Masked pre-training of Swin on a uniform sample of an image (UM-MAE)."""
from typing import Optional, Tuple

import torch
from mmpretrain.models import SwinTransformer
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers.masking import image_units, select_units, visible_units
from .mae import MAE, enlarge

UNIT = 16  # pixels


@MODELS.register_module()
class UniformMAE(MAE):
    """Masked autoencoder on one unit of each 2 x 2 (arXiv 2205.10063).

    The units that are sampled are an image of half the side, which
    ``UniformSwin`` computes as any other. Arguments are those of
    :class:`MAE`, with a ``mask_ratio`` of 0.75.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.mask_ratio != 0.75:
            raise UserError(
                f'mask_ratio={self.mask_ratio} of UniformMAE must be 0.75: '
                'one unit of four is visible.')

    def random_mask(self, inputs: Tensor) -> Tensor:
        """Draw a mask of units, (B, h, w), with one visible of each 2 x 2."""
        height, width = (side // (2 * self.backbone.mask_unit)
                         for side in inputs.shape[-2:])
        corner = torch.randint(4, (len(inputs), height, width, 1),
                               device='cpu')
        hidden = corner != torch.arange(4, device='cpu')
        # (B, h / 2, w / 2, 2 * 2) -> (B, h / 2, 2, w / 2, 2) -> (B, h, w)
        return hidden.unflatten(3, (2, 2)).transpose(2, 3).flatten(
            3).flatten(1, 2)


@MODELS.register_module()
class UniformSwin(SwinTransformer):
    """mmpretrain's Swin, with ``forward(x, mask)`` on a uniform sample.

    A mask unit has 16 x 16 pixels. In training some of the sampled units are
    replaced by a learned token, too (secondary masking). Windows and relative
    positions are those of the image of half the side; the official code has
    an MLP of the true positions instead. Other arguments, parameters and
    checkpoints are those of mmpretrain's ``SwinTransformer``.

    Args:
        secondary_ratio: Share of the sampled units that are replaced.
            Defaults to 0.25.
    """
    mask_unit = UNIT

    def __init__(self, *args, secondary_ratio: float = 0.25,
                 **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= secondary_ratio < 1:
            raise UserError('secondary_ratio of UniformSwin must be from 0 to '
                            f'less than 1, but it is {secondary_ratio}.')
        self.secondary_ratio = secondary_ratio
        if secondary_ratio:
            self.mask_token = nn.Parameter(
                0.02 * torch.randn(1, 1, self.embed_dims))

    def no_weight_decay(self) -> Tuple[str, ...]:
        """Names of the tables of relative positions, as in SimMIM."""
        return tuple(name for name, _ in self.named_parameters()
                     if name.endswith('relative_position_bias_table'))

    @property
    def _patch(self) -> int:
        return self.patch_embed.projection.stride[0]

    def check_mask(self, x: Tensor) -> None:
        """Raise a UserError if images (B, C, H, W) cannot be masked."""
        last = len(self.stages) - 1
        if tuple(self.out_indices) != (last, ) or self.out_after_downsample \
                or self.use_abs_pos_embed:
            raise UserError(
                'UniformSwin returns the last stage alone and has no absolute '
                'positions: omit out_indices, out_after_downsample and '
                'use_abs_pos_embed.')
        token = self._patch << last  # of the last stage
        unit = 2 * token  # in the image of half the side
        if token < UNIT or any(side % unit for side in x.shape[-2:]):
            raise UserError(
                f'UniformSwin takes images of multiples of {unit} pixels and '
                f'tokens of at least {UNIT} pixels in its last stage, but got '
                f'{tuple(x.shape[-2:])} and {token}: crop them, or set arch.')
        for i, stage in enumerate(self.stages):
            attn = stage.blocks[0].attn
            side = min(x.shape[-2:]) // (2 * self._patch << i)
            if side < attn.window_size and not attn.pad_small_map:
                raise UserError(
                    f'stage {i} of UniformSwin has {side} tokens along a side '
                    f'of the sample and windows of {attn.window_size}: set a '
                    'smaller window_size, in stage_cfgs for one stage.')

    def forward(self, x: Tensor, mask: Optional[Tensor] = None
                ) -> Tuple[Tensor, ...]:
        """Compute the features of images, or of a uniform sample of them.

        Args:
            x: Images of shape (B, C, H, W).
            mask: Boolean mask of units, (B, H / 16, W / 16), True where
                hidden, with one visible of each 2 x 2. Defaults to None: all
                is visible, as in mmpretrain.

        Returns:
            As mmpretrain's; with a mask one output (B, V, 1, t * C), the V
            visible units in raster order. The t units that share a token get
            its C channels in a slice of their own, the others are 0, so that
            a linear layer has weights of its own for each.

        Raises:
            UserError: If the mask does not fit.
        """
        if mask is None:
            return super().forward(x)
        self.check_mask(x)
        height, width = (side // UNIT for side in x.shape[-2:])
        half = (height // 2, width // 2)
        index = visible_units(mask, (height, width), torch.device('cpu'))
        # the 2 x 2 of each visible unit, row by row
        block = index // width // 2 * half[1] + index % width // 2
        ordered, place = block.sort(dim=1)
        if block.shape[1] != half[0] * half[1] or (ordered != torch.arange(
                half[0] * half[1], device='cpu')).any():
            raise UserError('UniformSwin takes masks with one visible unit of '
                            'each 2 x 2: train it by hpvit_mm.UniformMAE.')
        index, block = (one.to(x.device, non_blocking=True) for one in (
            index.gather(1, place), block))
        units = image_units(x, UNIT)
        # (B, V, C, 16, 16) -> (B, C, h / 2, 16, w / 2, 16)
        # -> (B, C, h / 2 * 16, w / 2 * 16)
        sample = select_units(units, index).unflatten(1, half).permute(
            0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)
        x, sides = self.patch_embed(sample)
        if self.training and self.secondary_ratio:
            hidden = self._secondary_mask(len(x), half)
            x = torch.where(hidden.to(x.device, non_blocking=True),
                            self.mask_token.to(x.dtype), x)
        x = self.drop_after_pos(x)
        for stage in self.stages:
            x, sides = stage(x, sides, do_downsample=False)
            if stage.downsample is not None:
                x, sides = stage.downsample(x, sides)
        x = getattr(self, f'norm{len(self.stages) - 1}')(x)
        return (select_units(_spread(x, sides, half), block).unsqueeze(2), )

    def _secondary_mask(self, batch: int, half: Tuple[int, int]) -> Tensor:
        """Draw the tokens (B, T, 1) that are replaced, on the CPU."""
        count = half[0] * half[1]
        order = torch.rand(batch, count, device='cpu').argsort(dim=1)
        hidden = (order < int(count * self.secondary_ratio)).unflatten(
            1, half)
        return enlarge(hidden, UNIT // self._patch).flatten(1).unsqueeze(2)


def _spread(x: Tensor, sides: Tuple[int, int], half: Tuple[int, int]
            ) -> Tensor:
    """Give each unit of a token the channels at a place of its own.

    Args:
        x: Tokens of shape (B, T, C), of ``sides`` along height and width.
        sides: Rows and columns of tokens.
        half: Rows and columns of units.

    Returns:
        Units of shape (B, h / 2 * w / 2, t * C).
    """
    down, right = half[0] // sides[0], half[1] // sides[1]
    # (down * right, ) twice -> (down, 1, right, down * right, 1)
    places = torch.eye(down * right, dtype=x.dtype, device=x.device).view(
        down, 1, right, down * right, 1)
    # (B, T, C) -> (B, rows, 1, columns, 1, 1, C)
    # -> (B, rows, down, columns, right, t, C)
    x = x.unflatten(1, sides)[:, :, None, :, None, None] * places
    # -> (B, rows * down, columns * right, t * C) -> (B, V, t * C)
    return x.flatten(5).flatten(3, 4).flatten(1, 2).flatten(1, 2)
