"""Hiera: a hierarchical ViT without the bells and whistles."""
from typing import (TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple,
                    Union)

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers import resample_pos_embed
from ..layers.block import DropPath
from ..layers.masking import check_sides, select_units, visible_units
from ..layers.mlp import Mlp
from ..layers.norm import build_norm
from .arguments import (OUT_TYPES, check_choice, check_norm,
                        check_out_indices, check_rate, check_sizes, pair)
from .base import BaseBackbone, Stage

if TYPE_CHECKING:
    from hpvit_mm.checkpoints import LoadReport

# Width and heads of the first stage, both doubled from stage to stage, and
# blocks per stage. 'tiny-6m' is of MAE-Lite (arXiv 2404.12210).
ARCHS = {
    'tiny-6m': dict(embed_dims=46, num_heads=1, depths=(1, 2, 7, 2)),
    'tiny': dict(embed_dims=96, num_heads=1, depths=(1, 2, 7, 2)),
    'small': dict(embed_dims=96, num_heads=1, depths=(1, 2, 11, 2)),
    'base': dict(embed_dims=96, num_heads=1, depths=(2, 3, 16, 3)),
    'base-plus': dict(embed_dims=112, num_heads=2, depths=(2, 3, 16, 3)),
    'large': dict(embed_dims=144, num_heads=2, depths=(2, 6, 36, 4)),
    'huge': dict(embed_dims=256, num_heads=4, depths=(2, 6, 36, 4)),
}
UNIT = 32  # pixels along a side of a mask unit, 8x8 tokens of the first stage


class MaskUnitAttention(nn.Module):
    """Attention inside mask units, or among all tokens.

    Args:
        in_dims: Width of the tokens.
        embed_dims: Width of the result.
        num_heads: Number of heads.
        pools: Whether queries are pooled 2x2, by their maximum.
        is_global: Whether tokens attend to all units.
    """

    def __init__(self, in_dims: int, embed_dims: int, num_heads: int,
                 pools: bool, is_global: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.pools, self.is_global = pools, is_global
        self.qkv = nn.Linear(in_dims, 3 * embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, t, C) -> (B, N, t, C') or, pooled, (B, N, t / 4, C')"""
        batch, units = x.shape[:2]
        # (B, N, t, 3 * C') -> 3 of (B, N, t, C')
        q, k, v = self.qkv(x).chunk(3, dim=3)
        if self.pools:
            q = _pool(q)
        tokens = q.shape[2]
        groups = batch if self.is_global else batch * units
        # (B, N, t, C') -> (groups, tokens, heads, d) -> (.., heads, tokens, d)
        q, k, v = (one.reshape(groups, -1, self.num_heads,
                               one.shape[3] // self.num_heads).transpose(1, 2)
                   for one in (q, k, v))
        x = F.scaled_dot_product_attention(q, k, v)
        # (groups, heads, tokens, d) -> (B, N, t', C')
        return self.proj(x.transpose(1, 2).reshape(batch, units, tokens, -1))


class HieraBlock(nn.Module):
    """A transformer block that may pool its tokens, and widen them.

    Args:
        in_dims: Width of the tokens.
        embed_dims: Width of the result.
        num_heads: Number of heads.
        norm_cfg: The normalisation.
        pools: Whether tokens are pooled 2x2.
        is_global: Whether tokens attend to all units.
        drop_path_rate: Probability of dropping a branch, per image.
        with_cp: Whether to recompute activations in the backward pass.
    """

    def __init__(self, in_dims: int, embed_dims: int, num_heads: int,
                 norm_cfg: dict, pools: bool, is_global: bool,
                 drop_path_rate: float = 0., with_cp: bool = False) -> None:
        super().__init__()
        self.norm1 = build_norm(norm_cfg, in_dims)
        self.proj = nn.Linear(in_dims, embed_dims) \
            if in_dims != embed_dims else None
        self.attn = MaskUnitAttention(in_dims, embed_dims, num_heads, pools,
                                      is_global)
        self.norm2 = build_norm(norm_cfg, embed_dims)
        self.mlp = Mlp(embed_dims, 4 * embed_dims)
        self.drop_path = (
            DropPath(drop_path_rate) if drop_path_rate else nn.Identity())
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, t, C) -> (B, N, t', C')"""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        if self.proj is not None:
            x = self.proj(normed)
            if self.attn.pools:
                x = _pool(x)
        x = x + self.drop_path(self.attn(normed))
        return x + self.drop_path(self.mlp(self.norm2(x)))


@MODELS.register_module()
class Hiera(BaseBackbone):
    """Hiera (arXiv 2306.00989, github.com/facebookresearch/hiera).

    Attention inside mask units of 32x32 pixels in the first two stages,
    global after that. Hidden units are left out: ``forward(x, mask)``. Tokens
    go by units, and in a unit by their offset: the four neighbours that a
    pooling makes one are a quarter of the unit apart. Parameter names are
    the official ones and timm's, with ``norms.{s}`` for the outputs.

    Images are padded with zeros to whole units, which attention sees.

    Args:
        arch: 'tiny-6m' (MAE-Lite's), 'tiny', 'small', 'base', 'base-plus',
            'large', 'huge', or a dict with ``embed_dims`` and ``num_heads``
            (of the first stage) and ``depths`` (blocks of the four stages).
            Defaults to 'base'.
        img_size: Side of the pre-training images in pixels, or (height,
            width): the grid of ``pos_embed``, which is resampled to others.
            Defaults to 224.
        in_channels: Channels of the image. Defaults to 3.
        num_pools: Number of 2x2 poolings: 3, or 2 in the official MAE
            pre-training, whose last stage stays at stride 16. Defaults to 3.
        out_indices: Stages whose output is returned, ascending. Defaults to
            all stages for 'featmap' and to the last one for 'avg_featmap'.
        out_type: 'featmap' returns maps (B, C_i, H_i, W_i) with a LayerNorm
            each; 'avg_featmap' their averages (B, C_i), averaged and then
            normalised. Defaults to 'featmap'.
        norm_cfg: Config of the norms. Defaults to LayerNorm with eps 1e-6.
        drop_path_rate: Probability of dropping a branch of the last block;
            it rises linearly from 0 at the first. Defaults to 0.
        with_cp: Whether to recompute activations in the backward pass.
            Defaults to False.
        frozen_stages: -1 freezes nothing, 0 the embeddings, n also the first
            n stages. Defaults to -1.
        init_cfg: ``dict(type='Pretrained', checkpoint=PATH_OR_URL)`` loads
            the official format, timm's, MAE-Lite's, or this package's.
            Defaults to None.

    Raises:
        UserError: If an argument has a value that is not allowed.
    """
    block_classes = (HieraBlock, )
    mask_unit = UNIT

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 img_size: Union[int, Sequence[int]] = 224,
                 in_channels: int = 3,
                 num_pools: int = 3,
                 out_indices: Union[int, Sequence[int], None] = None,
                 out_type: str = 'featmap',
                 norm_cfg: Optional[dict] = None,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 frozen_stages: int = -1,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        arch = check_sizes(arch, ARCHS, 4)
        dims, heads, depths = (
            arch[key] for key in ('embed_dims', 'num_heads', 'depths'))
        check_choice('out_type', out_type, OUT_TYPES)
        check_choice('num_pools', num_pools, (2, 3))
        check_rate('drop_path_rate', drop_path_rate)
        self.out_indices = check_out_indices(out_indices, out_type, 4)
        self.out_type, self.num_pools = out_type, num_pools
        self.in_channels = in_channels
        widths = tuple(dims << s for s in range(4))
        self.strides = tuple(4 << min(s, num_pools) for s in range(4))
        self.out_channels = tuple(widths[s] for s in self.out_indices)
        self.out_strides = tuple(self.strides[s] for s in self.out_indices)
        self.frozen_stages = frozen_stages
        if norm_cfg is None:
            norm_cfg = dict(type='LN', eps=1e-6)
        check_norm(norm_cfg, dims)

        self.patch_embed = nn.ModuleDict(dict(proj=nn.Conv2d(
            in_channels, dims, 7, stride=4, padding=3)))
        self.pos_grid = tuple(
            -(-side // 4) for side in pair('img_size', img_size))
        self.pos_embed = nn.Parameter(
            torch.zeros(1, self.pos_grid[0] * self.pos_grid[1], dims))
        trunc_normal_(self.pos_embed, std=.02)
        # Stages behind the last output would get no gradient.
        used = max(self.out_indices) + 1
        rates = iter(torch.linspace(
            0, drop_path_rate, sum(depths), device='cpu').tolist())
        self.blocks, stages = nn.ModuleList(), []
        for s in range(used):
            first = len(self.blocks)
            for i in range(depths[s]):
                starts = s > 0 and i == 0
                # the first block of a stage attends as the stage before it
                self.blocks.append(HieraBlock(
                    widths[s] // 2 if starts else widths[s], widths[s],
                    heads << s, norm_cfg, starts and s <= num_pools,
                    is_global=s - starts >= 2, drop_path_rate=next(rates),
                    with_cp=with_cp))
            stages.append(Stage(
                tuple(f'blocks.{i}' for i in range(first, len(self.blocks))),
                (), (f'norms.{s}', ) if s in self.out_indices else ()))
        self.stages = tuple(stages)
        self.norms = nn.ModuleDict({
            str(s): build_norm(norm_cfg, widths[s])
            for s in self.out_indices})
        self.stem = ('patch_embed', 'pos_embed')
        self.no_decay = ('pos_embed', )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed['proj'].weight.flatten(1))
        nn.init.zeros_(self.patch_embed['proj'].bias)
        self.freeze()

    def forward(self, x: Tensor, mask: Optional[Tensor] = None
                ) -> Tuple[Tensor, ...]:
        """Compute the features of images, or of their visible units.

        Args:
            x: Images of shape (B, in_channels, H, W), of any H and W.
            mask: Boolean mask of units of 32x32 pixels, (B, H / 32, W / 32),
                True where hidden, with equally many visible units per image.
                Defaults to None: all is visible.

        Returns:
            One tensor per stage in ``out_indices``: (B, C_i, ceil(H /
            stride_i), ceil(W / stride_i)) for 'featmap', (B, C_i) for
            'avg_featmap'. With a mask (B, V, t_i, C_i): the V visible units
            in raster order, with the tokens of a stage in a unit, in raster
            order too.
        """
        self.check_images(x)
        sides = x.shape[-2:]
        grid = tuple(-(-side // UNIT) for side in sides)
        index = None
        if mask is not None:
            self.check_mask(x)
            index = visible_units(mask, grid, x.device)
        x = F.pad(x, (0, grid[1] * UNIT - sides[1],
                      0, grid[0] * UNIT - sides[0]))
        # (B, C, 8 * h, 8 * w) -> (B, 8 * h, 8 * w, C)
        x = self.patch_embed['proj'](x).permute(0, 2, 3, 1)
        x = self._units(x + resample_pos_embed(
            self.pos_embed, self.pos_grid, tuple(x.shape[1:3])))
        if index is not None:
            x = select_units(x, index)
        outs: List[Tensor] = []
        for s, stage in enumerate(self.stages):
            for name in stage.blocks:
                x = self.get_submodule(name)(x)
            if s in self.out_indices:
                outs.append(self._output(x, s, sides, grid, index))
        return tuple(outs)

    @staticmethod
    def _units(x: Tensor) -> Tensor:
        """(B, 8 * h, 8 * w, C) -> (B, h * w, 64, C), by offsets in a unit.

        A row of a unit is 4 * y2 + 2 * y1 + y0, and a column likewise; their
        order is (y0, x0, y1, x1, y2, x2).
        """
        batch, height, width, channels = x.shape
        # -> (B, h, y2, y1, y0, w, x2, x1, x0, C)
        x = x.reshape(batch, height // 8, 2, 2, 2, width // 8, 2, 2, 2,
                      channels)
        # -> (B, h, w, y0, x0, y1, x1, y2, x2, C) -> (B, N, 64, C)
        return x.permute(0, 1, 5, 4, 8, 3, 7, 2, 6, 9).reshape(
            batch, -1, 64, channels)

    def _output(self, x: Tensor, stage: int, sides: Sequence[int],
                grid: Tuple[int, int], index: Optional[Tensor]) -> Tensor:
        """The output of a stage, of tokens (B, N, t, C)."""
        norm = self.norms[str(stage)]
        batch, units, tokens, channels = x.shape
        levels = (tokens.bit_length() - 1) // 2  # t = 4 ** levels
        # (B, N, 4 ** levels, C) -> (B, N, y0, x0, y1, x1, ..., C)
        #                        -> (B, N, ..., y1, y0, ..., x1, x0, C)
        rows = list(range(2 * levels, 1, -2))
        x = x.reshape(batch, units, *(2, ) * 2 * levels, channels).permute(
            0, 1, *rows, *(one + 1 for one in rows), 2 + 2 * levels)
        if index is not None:
            return norm(x.reshape(batch, units, tokens, channels))
        side = 1 << levels
        # -> (B, h, w, k, k, C) -> (B, h, k, w, k, C) -> (B, h * k, w * k, C)
        x = x.reshape(batch, *grid, side, side, channels).transpose(
            2, 3).flatten(3, 4).flatten(1, 2)
        height, width = (-(-one // self.strides[stage]) for one in sides)
        x = x[:, :height, :width]
        if self.out_type == 'avg_featmap':
            return norm(x.mean(dim=(1, 2)))
        return norm(x).permute(0, 3, 1, 2).contiguous()

    def check_mask(self, x: Tensor) -> None:
        """Raise a UserError if images cannot be masked."""
        check_sides(x, UNIT)

    def fit_checkpoint(self, content: dict, source: str
                       ) -> Tuple[Dict[str, Tensor], 'LoadReport']:
        """Adapt a checkpoint of Hiera: the official, timm's or ours.

        ``pos_embed`` is resampled to ``img_size``. Norms of outputs that the
        file lacks keep their initial values.

        Args:
            content: What the file holds.
            source: Its name, for messages.

        Returns:
            Tensors by the backbone's names, and the report.

        Raises:
            UserError: As for any backbone.
        """
        # Imported here, because that package imports this one.
        from hpvit_mm.checkpoints.by_name import (add_output_norms,
                                                  encoder_tensors,
                                                  fit_by_name)
        tensors, own = encoder_tensors(content), self.state_dict()
        if 'pos_embed_win' in tensors:
            raise UserError(
                f'{source} is a Hiera with positions in windows (timm\'s '
                'abswin), which this Hiera lacks: use another checkpoint. '
                'Nothing was loaded.')
        position, resampled = tensors.get('pos_embed'), {}
        if position is not None and \
                position.shape[1:2] != own['pos_embed'].shape[1:2]:
            side = round(position.shape[1]**0.5)
            if side * side == position.shape[1]:
                # (1, side * side, C) -> (1, h, w, C) -> (1, h * w, C)
                tensors['pos_embed'] = resample_pos_embed(
                    position, (side, side), self.pos_grid).flatten(1, 2)
                resampled['pos_embed'] = ((side, side), self.pos_grid)
        new = add_output_norms(
            tensors, own, 'norms.3',
            ('head.norm', 'encoder_norm', 'norm', 'fc_norm'))
        return fit_by_name(self, tensors, source, new, resampled)


def _pool(x: Tensor) -> Tensor:
    """(B, N, t, C) -> (B, N, t / 4, C), the maximum of 2x2 neighbours."""
    return x.unflatten(2, (4, -1)).amax(dim=2)
