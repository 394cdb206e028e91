"""Masked autoencoders for any backbone that computes visible units alone."""
import math
from typing import Dict, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModule
from mmpretrain.models.selfsup import BaseSelfSupervisor
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers import Block, sincos_pos_embed


@MODELS.register_module()
class MAE(BaseSelfSupervisor):
    """Masked autoencoder (arXiv 2111.06377).

    The backbone computes the visible units of an image, the neck predicts
    the pixels of the hidden ones, the head (mmpretrain's ``MAEPretrainHead``)
    compares them. A unit is a patch of a plain ViT, and a token of the last
    stage of a hierarchical backbone, in which it has ``mask_unit`` pixels.

    mmpretrain's MAE has one backbone class per architecture, which makes the
    masks; here any backbone takes them as ``forward(x, mask)``.

    Args:
        backbone: A backbone with ``mask_unit``, such as HPViT.
        neck: ``MAEDecoder``.
        head: ``MAEPretrainHead`` with ``patch_size`` equal to the unit.
        mask_ratio: Share of the units that are hidden. Defaults to 0.75.
        fixed_position: Whether the backbone's position embedding stays at
            its initial or loaded values, as MAE's sine-cosine table does.
            Hiera's is learned: set False. Defaults to True.
        kwargs: As for mmpretrain's ``BaseSelfSupervisor``.

    Raises:
        UserError: If the parts do not fit each other, or nothing of an image
            would be visible.
    """

    def __init__(self, backbone: dict, neck: dict, head: dict,
                 mask_ratio: float = 0.75, fixed_position: bool = True,
                 **kwargs) -> None:
        super().__init__(backbone=backbone, neck=neck, head=head, **kwargs)
        self.mask_ratio = mask_ratio
        unit = getattr(self.backbone, 'mask_unit', None)
        if unit is None:
            raise UserError(
                f'{type(self.backbone).__name__} cannot compute visible units '
                'alone, as MAE needs it: use hpvit_mm.HPViT, HiViT or Hiera '
                'as model.backbone.')
        patch = self.neck.patch_size
        if unit % patch or self.head.patch_size != patch:
            raise UserError(
                f'model.neck.patch_size is {patch} and model.head.patch_size '
                f'is {self.head.patch_size}, but the mask unit of '
                f'{type(self.backbone).__name__} has {unit} pixels; set both '
                'to that, or to a number that divides it.')
        self.num_visible(tuple(
            side * patch // unit for side in self.neck.grid))
        if fixed_position:
            for name in ('pos_embed', 'prefix_pos_embed',
                         'absolute_pos_embed'):
                position = getattr(self.backbone, name, None)
                if position is not None:
                    position.requires_grad_(False)

    def num_visible(self, grid: Tuple[int, int]) -> int:
        """Number of units of an image that are visible."""
        units = grid[0] * grid[1]
        visible = int(units * (1 - self.mask_ratio))
        if not 0 < visible < units:
            raise UserError(
                f'mask_ratio={self.mask_ratio} of MAE leaves {visible} of the '
                f'{units} mask units of an image visible: change it, so that '
                'some are visible and some hidden.')
        return visible

    def random_mask(self, inputs: Tensor) -> Tensor:
        """Draw a mask of units, (B, h, w), on the CPU, True where hidden.

        The number of visible units is known there without waiting for a GPU.
        """
        unit = self.backbone.mask_unit
        grid = tuple(side // unit for side in inputs.shape[-2:])
        visible = self.num_visible(grid)
        order = torch.rand(len(inputs), grid[0] * grid[1],
                           device='cpu').argsort(dim=1)
        mask = torch.ones(order.shape, dtype=torch.bool, device='cpu')
        mask.scatter_(1, order[:, :visible], False)
        return mask.unflatten(1, grid)

    def predict_pixels(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Predict the pixels of all units, in the scale of the head's target.

        Hidden pixels become 0 first, because the patches of neighbouring
        units may overlap them: those of HPViT and Hiera do.

        Args:
            inputs: Images of shape (B, C, H, W).
            mask: Hidden units, (B, h, w).

        Returns:
            Pixels of shape (B, N, patch * patch * C), of all N patches of
            the decoder in raster order.
        """
        unit = self.backbone.mask_unit
        features = self.backbone(self.hide(inputs, mask), mask)
        return self.neck(self.decoded_features(features), mask, unit)

    def hide(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Set the pixels (B, C, H, W) of hidden units (B, h, w) to 0."""
        hidden = enlarge(mask.to(inputs.device, non_blocking=True),
                         self.backbone.mask_unit)
        return inputs.masked_fill(hidden.unsqueeze(1), 0.)

    def decoded_features(self, features: Sequence[Tensor]
                         ) -> Sequence[Tensor]:
        """The outputs of the backbone that the decoder reads."""
        return features

    def extra_losses(self, inputs: Tensor, mask: Tensor) -> Dict[str, Tensor]:
        """Losses beside that of the pixels; none here.

        Args:
            inputs: Images of shape (B, C, H, W).
            mask: Hidden units, (B, h, w).
        """
        return {}

    def hidden_patches(self, mask: Tensor) -> Tensor:
        """(B, h, w) units -> (B, N) patches of the decoder."""
        times = self.backbone.mask_unit // self.neck.patch_size
        return enlarge(mask, times).flatten(1)

    def loss(self, inputs: Tensor, data_samples: Sequence,
             **kwargs) -> Dict[str, Tensor]:
        """Compute the reconstruction loss of the hidden units.

        Args:
            inputs: Images of shape (B, C, H, W).
            data_samples: Not used.

        Returns:
            The loss by its name.
        """
        if inputs.shape[-1] != inputs.shape[-2]:
            raise UserError(
                'mmpretrain\'s MAEPretrainHead takes square images, but got '
                f'{tuple(inputs.shape[-2:])}: crop squares.')
        self.backbone.check_mask(inputs)
        mask = self.random_mask(inputs)
        pred = self.predict_pixels(inputs, mask)
        hidden = self.hidden_patches(mask).to(pred.device, pred.dtype)
        return dict(
            loss=self.head.loss(pred.float(), inputs, hidden),
            **self.extra_losses(inputs, mask))

    @torch.no_grad()
    def reconstruct(self, inputs: Tensor, mask: Tensor) -> Tensor:
        """Fill hidden units with their prediction.

        A head with ``norm_pix`` predicts the deviation from the mean of a
        unit; mean and scale are then those of the true pixels.

        Args:
            inputs: Normalised square images, (B, C, H, W).
            mask: Hidden units, (B, h, w).

        Returns:
            Images of shape (B, C, H, W).
        """
        pred = self.predict_pixels(inputs, mask).float()
        pixels = self.head.patchify(inputs)
        if self.head.norm_pix:
            var, mean = torch.var_mean(pixels, dim=-1, keepdim=True)
            pred = pred * (var + 1e-6).sqrt() + mean
        hidden = self.hidden_patches(mask).unsqueeze(-1).to(pred.device)
        return self.head.unpatchify(torch.where(hidden, pred, pixels))


def enlarge(mask: Tensor, times: int) -> Tensor:
    """(B, h, w) -> (B, times * h, times * w), each value repeated."""
    return mask.repeat_interleave(times, 1).repeat_interleave(times, 2)


@MODELS.register_module()
class MAEDecoder(BaseModule):
    """MAE's decoder, for units of any backbone.

    Its tokens are patches: units, or parts of them. The backbone's tokens in
    a visible patch, of all its outputs, are concatenated and embedded as one;
    hidden patches are a mask token. Parameter names are MAE's. In difference
    to mmpretrain's ``MAEPretrainDecoder`` it needs no cls token, which our
    backbones keep to themselves, and no square images.

    Args:
        in_channels: Channels of a visible patch: for all outputs of the
            backbone the sum of their tokens in a patch times their width.
        patch_size: Side of a patch in pixels: that of a unit, or half of it
            (Hiera) and so on. Defaults to 16.
        img_size: Side of the training images. Others take other positions.
            Defaults to 224.
        image_channels: Channels of the images. Defaults to 3.
        embed_dims: Width. Defaults to 512.
        num_layers: Number of blocks. Defaults to 8.
        num_heads: Number of attention heads. Defaults to 16.
    """

    def __init__(self, in_channels: int, patch_size: int = 16,
                 img_size: Union[int, Tuple[int, int]] = 224,
                 image_channels: int = 3, embed_dims: int = 512,
                 num_layers: int = 8, num_heads: int = 16) -> None:
        super().__init__()
        if embed_dims % num_heads or embed_dims % 4:
            raise UserError(
                f'embed_dims={embed_dims} of MAEDecoder must be a multiple of '
                f'num_heads={num_heads} and of 4.')
        self.in_channels, self.patch_size = in_channels, patch_size
        height, width = (img_size, img_size) if isinstance(
            img_size, int) else img_size
        self.grid = (height // patch_size, width // patch_size)
        self.decoder_embed = nn.Linear(in_channels, embed_dims)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, embed_dims))
        self.decoder_pos_embed = nn.Parameter(
            sincos_pos_embed(embed_dims, self.grid), requires_grad=False)
        norm_cfg = dict(type='LN', eps=1e-6)
        self.decoder_blocks = nn.ModuleList(
            Block(embed_dims, num_heads, 4 * embed_dims, True, norm_cfg)
            for _ in range(num_layers))
        self.decoder_norm = nn.LayerNorm(embed_dims, eps=1e-6)
        self.decoder_pred = nn.Linear(embed_dims,
                                      patch_size**2 * image_channels)
        nn.init.normal_(self.mask_token, std=.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, features: Sequence[Tensor], mask: Tensor,
                unit: int) -> Tensor:
        """Predict the pixels of all patches.

        Args:
            features: Outputs of the backbone, (B, V, t_i, C_i) each, with
                the tokens of a unit in raster order.
            mask: Hidden units, (B, h, w).
            unit: Side of a unit in pixels.

        Returns:
            Pixels of shape (B, N, patch_size * patch_size * channels), of
            all N patches in raster order.
        """
        # patches along a side of a unit
        times = unit // self.patch_size
        # (B, V, t_i, C_i) -> (B, V * patches, sum of their tokens and widths)
        x = torch.cat([split_units(one, times) for one in features], dim=2)
        if x.shape[2] != self.in_channels:
            raise UserError(
                f'model.neck.in_channels is {self.in_channels}, but the '
                f'outputs of the backbone have {x.shape[2]} channels per '
                'patch; set it to that.')
        x = self.decoder_embed(x)
        # Place of each patch among the visible ones, which precede the mask
        # token; the hidden ones all take that, the last.
        visible = ~mask
        place = enlarge((visible.flatten(1).cumsum(dim=1) - 1).view_as(mask),
                        times) * times**2
        offsets = torch.arange(times, device=mask.device)
        # (times, times) -> (times * h, times * w)
        place = place + (offsets[:, None] * times + offsets).repeat(
            *mask.shape[1:])
        grid = tuple(place.shape[1:])
        place = place.where(enlarge(visible, times), torch.tensor(
            x.shape[1], device=mask.device)).flatten(1)
        place = place.to(x.device, non_blocking=True)
        mask_token = self.mask_token.to(x.dtype).expand(len(x), -1, -1)
        # (B, V + 1, C) -> (B, N, C)
        x = torch.cat([x, mask_token], dim=1).gather(
            1, place.unsqueeze(2).expand(-1, -1, x.shape[2]))
        position = self.decoder_pos_embed if grid == self.grid else \
            sincos_pos_embed(x.shape[2], grid).to(x)
        x = (x + position).unsqueeze(1)  # (B, 1, N, C)
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_pred(self.decoder_norm(x.squeeze(1)))


def split_units(x: Tensor, times: int) -> Tensor:
    """Divide units, with their tokens in raster order, into patches.

    Args:
        x: Tokens of shape (B, V, k * k, C).
        times: Patches along a side of a unit.

    Returns:
        Patches of shape (B, V * times * times, (k / times)**2 * C).
    """
    if times == 1:
        return x.flatten(2)
    side = math.isqrt(x.shape[2])
    if side % times:
        raise UserError(
            f'an output of the backbone has {side} x {side} tokens in a mask '
            f'unit, which are not {times} x {times} patches of the decoder: '
            'use a larger patch_size in model.neck and model.head, or '
            'out_indices without that output.')
    # (B, V, k * k, C) -> (B, V, times, k', times, k', C)
    #                  -> (B, V, times, times, k', k', C)
    x = x.unflatten(2, (times, side // times, times, side // times))
    return x.transpose(3, 4).flatten(4).flatten(1, 3)
