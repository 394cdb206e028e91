"""HiViT: a hierarchical ViT with attention in its last stage only."""
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
from ..layers import (Block, TokenLayout, regroup, resample_pos_embed,
                      sincos_pos_embed)
from ..layers.block import DropPath
from ..layers.mlp import Mlp
from ..layers.masking import check_sides, select_units, visible_units
from ..layers.norm import build_norm
from .arguments import (OUT_TYPES, check_choice, check_norm,
                        check_out_indices, check_rate, check_sizes, pair)
from .base import BaseBackbone, Stage

if TYPE_CHECKING:
    from hpvit_mm.checkpoints import LoadReport

# Width and heads of the main stage, blocks per stage: the official configs.
ARCHS = {
    'tiny': dict(embed_dims=384, depths=(1, 1, 10), num_heads=6),
    'small': dict(embed_dims=384, depths=(2, 2, 20), num_heads=6),
    'base': dict(embed_dims=512, depths=(2, 2, 20), num_heads=8),
}
UNIT = 16  # pixels along a side of a mask unit, a token of the main stage


class MlpBlock(nn.Module):
    """Half a block of the first two stages: an MLP on its own.

    Args:
        embed_dims: Width C of the tokens.
        feedforward_channels: Hidden width of the MLP.
        norm_cfg: The normalisation.
        drop_path_rate: Probability of dropping the branch, per image.
        with_cp: Whether to recompute activations in the backward pass.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int,
                 norm_cfg: dict, drop_path_rate: float = 0.,
                 with_cp: bool = False) -> None:
        super().__init__()
        self.norm2 = build_norm(norm_cfg, embed_dims)
        self.mlp = Mlp(embed_dims, feedforward_channels)
        self.drop_path = (
            DropPath(drop_path_rate) if drop_path_rate else nn.Identity())
        self.with_cp = with_cp

    def forward(self, x: Tensor) -> Tensor:
        """(B, ..., C) -> (B, ..., C)"""
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._forward, x, use_reentrant=False)
        return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerge(nn.Module):
    """Concatenate 2x2 tokens, normalise them, and reduce their width."""

    def __init__(self, embed_dims: int, norm_cfg: dict) -> None:
        super().__init__()
        self.norm = build_norm(norm_cfg, 4 * embed_dims)
        self.reduction = nn.Linear(4 * embed_dims, 2 * embed_dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, k, k, C) -> (B, N, k / 2, k / 2, 2 * C)"""
        # 2x2 tokens in the order (0, 0), (1, 0), (0, 1), (1, 1)
        # (B, N, k, k, C) -> (B, N, k/2, y, k/2, x, C)
        #                 -> (B, N, k/2, k/2, x, y, C)
        x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(
            0, 1, 2, 4, 5, 3, 6)
        # (B, N, k/2, k/2, x, y, C) -> (B, N, k/2, k/2, 4 * C)
        return self.reduction(self.norm(x.flatten(4)))


class PatchEmbed(nn.Module):
    """4x4 patches with a norm, in mask units of 4x4 tokens."""

    def __init__(self, in_channels: int, embed_dims: int,
                 norm_cfg: dict) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dims, 4, stride=4)
        self.norm = build_norm(norm_cfg, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, 16 * h, 16 * w) -> (B, h * w, 4, 4, C)"""
        # (B, C, 4 * h, 4 * w) -> (B, C, h, 4, w, 4) -> (B, h, w, 4, 4, C)
        x = self.proj(x).unflatten(3, (-1, 4)).unflatten(2, (-1, 4)).permute(
            0, 2, 4, 3, 5, 1)
        return self.norm(x.flatten(1, 2))


@MODELS.register_module()
class HiViT(BaseBackbone):
    """HiViT (arXiv 2205.14949, github.com/zhangxiaosong18/hivit).

    Two stages of MLPs at strides 4 and 8, which mix no tokens of different
    16x16 units, then transformer blocks at stride 16. Hidden units can
    therefore be left out of all of it: ``forward(x, mask)``. Parameter names
    are the official ones, with ``norms.{s}`` for the norm of output s.

    mmpretrain's HiViT with the same weights and ``norm_cfg`` gives the same
    features of the main stage, before the norm that we put behind it. Its
    'base' has 24 blocks in the main stage, the paper's and ours 20; it does
    not run with outputs of the first two stages; and only square images with
    relative positions.

    Args:
        arch: 'tiny', 'small', 'base', or a dict with ``embed_dims`` and
            ``num_heads`` (of the main stage) and ``depths`` (blocks of the
            three stages; one of the first two is two MLPs). Defaults to
            'base'.
        img_size: Side of the pre-training images in pixels, or (height,
            width): the grid of the positions. The input may have any size.
            Defaults to 224.
        in_channels: Channels of the image. Defaults to 3.
        attention: 'global' or 'window' for all blocks of the main stage, or a
            sequence of them, one per block. Defaults to 'global'.
        window_size: Maximum number of tokens along a side of a window.
            Defaults to 14.
        relative_position: Whether the attention has a relative position bias
            (the official fine-tuning has, starting at 0; the pre-training has
            not). It is resampled to the size of the image or the window.
            Defaults to False.
        out_indices: Outputs, ascending: 0, 1, 2 are the stages (before the
            merging that follows), 3 is a 2x2 max pooling of the last one.
            Defaults to (0, 1, 2, 3) for 'featmap', and to 2 for
            'avg_featmap'.
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
            the official format, mmpretrain's, or this package's. Defaults to
            None.

    Raises:
        UserError: If an argument has a value that is not allowed.
    """
    block_classes = (Block, MlpBlock)
    mask_unit = UNIT

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 img_size: Union[int, Sequence[int]] = 224,
                 in_channels: int = 3,
                 attention: Union[str, Sequence[str]] = 'global',
                 window_size: int = 14,
                 relative_position: bool = False,
                 out_indices: Union[int, Sequence[int], None] = None,
                 out_type: str = 'featmap',
                 norm_cfg: Optional[dict] = None,
                 drop_path_rate: float = 0.,
                 with_cp: bool = False,
                 frozen_stages: int = -1,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        arch = check_sizes(arch, ARCHS, 3)
        if arch['embed_dims'] % 4:
            raise UserError(f'embed_dims={arch["embed_dims"]} of arch must be '
                            'a multiple of 4.')
        dims, depths = arch['embed_dims'], arch['depths']
        check_choice('out_type', out_type, OUT_TYPES)
        check_rate('drop_path_rate', drop_path_rate)
        if window_size < 1:
            raise UserError(
                f'window_size must be at least 1, but it is {window_size}.')
        if out_indices is None and out_type == 'avg_featmap':
            out_indices = 2
        self.out_indices = check_out_indices(out_indices, out_type, 4)
        self.out_type = out_type
        self.embed_dims, self.in_channels = dims, in_channels
        self.attention = _check_attention(attention, depths[2])
        self.window_size = window_size
        self.relative_position = relative_position
        widths = (dims // 4, dims // 2, dims, dims)
        self.strides = (4, 8, 16, 32)
        self.out_channels = tuple(widths[s] for s in self.out_indices)
        self.out_strides = tuple(self.strides[s] for s in self.out_indices)
        self.frozen_stages = frozen_stages
        if norm_cfg is None:
            norm_cfg = dict(type='LN', eps=1e-6)
        check_norm(norm_cfg, dims)

        self.patch_embed = PatchEmbed(in_channels, widths[0], norm_cfg)
        self.pos_grid = tuple(
            -(-side // UNIT) for side in pair('img_size', img_size))
        # Stages behind the last output would get no gradient.
        used = min(2, max(self.out_indices)) + 1
        if used == 3:
            self.absolute_pos_embed = nn.Parameter(
                sincos_pos_embed(dims, self.pos_grid))
        rates = iter(torch.linspace(
            0, drop_path_rate, 2 * depths[0] + 2 * depths[1] + depths[2],
            device='cpu').tolist())
        self.blocks, stages = nn.ModuleList(), []
        for s in range(used):
            pooling = ()
            if s:
                pooling = (f'blocks.{len(self.blocks)}', )
                self.blocks.append(PatchMerge(widths[s - 1], norm_cfg))
            first = len(self.blocks)
            if s < 2:
                self.blocks.extend(
                    MlpBlock(widths[s], 3 * widths[s], norm_cfg, next(rates),
                             with_cp) for _ in range(2 * depths[s]))
            else:
                self.blocks.extend(
                    Block(dims, arch['num_heads'], 4 * dims, True, norm_cfg,
                          drop_path_rate=next(rates), with_cp=with_cp)
                    for _ in range(depths[2]))
            stages.append(Stage(
                tuple(f'blocks.{i}' for i in range(first, len(self.blocks))),
                pooling, (f'norms.{s}', ) if s in self.out_indices else ()))
        if 3 in self.out_indices:
            stages.append(Stage((), (), ('norms.3', )))
        self.stages = tuple(stages)
        self.norms = nn.ModuleDict({
            str(s): build_norm(norm_cfg, widths[s])
            for s in self.out_indices})
        tables = []
        if relative_position and used == 3:
            height, width = self.pos_grid
            for name in stages[2].blocks:
                self.get_submodule(name).attn.relative_position_bias_table = \
                    nn.Parameter(torch.zeros(
                        (2 * height - 1) * (2 * width - 1),
                        arch['num_heads']))
                tables.append(f'{name}.attn.relative_position_bias_table')
        position = ('absolute_pos_embed', ) if used == 3 else ()
        self.stem = ('patch_embed', *position)
        self.no_decay = (*position, *tables)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.freeze()

    def forward(self, x: Tensor, mask: Optional[Tensor] = None
                ) -> Tuple[Tensor, ...]:
        """Compute the features of images, or of their visible units.

        Args:
            x: Images of shape (B, in_channels, H, W), of any H and W.
            mask: Boolean mask of units of 16x16 pixels, (B, H / 16, W / 16),
                True where hidden, with equally many visible units per image.
                Defaults to None: all is visible.

        Returns:
            One tensor per output: (B, C_i, ceil(H / stride_i), ceil(W /
            stride_i)) for 'featmap', (B, C_i) for 'avg_featmap'. With a mask
            (B, V, t_i, C_i): the V visible units in raster order, with the
            t_i = 16, 4, 1 tokens that a stage has in a unit.
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
        x = self.patch_embed(x)  # (B, N, 4, 4, C)
        if index is not None:
            x = select_units(x, index)
        outs: List[Tensor] = []
        for s, stage in enumerate(self.stages[:2]):
            for name in stage.pooling + stage.blocks:
                x = self.get_submodule(name)(x)
            self._output(x, s, sides, grid, index, outs)
        if len(self.stages) > 2:
            x = self.get_submodule(self.stages[2].pooling[0])(x)
            x = self._main_stage(x.flatten(1, 3), grid, index)
            x = x[:, :, None, None]  # (B, N, C) -> (B, N, 1, 1, C)
            self._output(x, 2, sides, grid, index, outs)
            if 3 in self.out_indices:
                self._output(x, 3, sides, grid, index, outs)
        return tuple(outs)

    def _main_stage(self, x: Tensor, grid: Tuple[int, int],
                    index: Optional[Tensor]) -> Tensor:
        """(B, N, C) -> (B, N, C), the transformer blocks."""
        # (1, h, w, C) -> (1, h * w, C)
        position = resample_pos_embed(
            self.absolute_pos_embed, self.pos_grid, grid).flatten(1, 2)
        if index is not None:
            position = select_units(
                position.expand(len(x), -1, -1), index)
        x = (x + position).unsqueeze(1)  # (B, 1, N, C)
        layout = TokenLayout.raster(grid)
        for name, kind in zip(self.stages[2].blocks, self.attention):
            block, key_mask = self.get_submodule(name), None
            if index is None:
                wanted = TokenLayout.create(kind, grid, 1, self.window_size)
                x = regroup(x, layout, wanted)
                layout = wanted
                key_mask = layout.key_mask(len(x), 0, x.device)
            if self.relative_position:
                table = block.attn.relative_position_bias_table
                bias = self._bias(table, layout.size)
                if index is not None:
                    # (1, heads, N, N) -> (heads, B, V, V) -> (B, heads, V, V)
                    bias = bias[0, :, index[:, :, None],
                                index[:, None]].transpose(0, 1)
                key_mask = bias if key_mask is None else bias.masked_fill(
                    ~key_mask, float('-inf'))
            x = block(x, key_mask)
        if index is None:
            x = regroup(x, layout, TokenLayout.raster(grid))
        return x.squeeze(1)

    def _bias(self, table: Tensor, size: Tuple[int, int]) -> Tensor:
        """The bias in a group of (h, w) tokens, (1, heads, T, T)."""
        source = tuple(2 * side - 1 for side in self.pos_grid)
        target = tuple(2 * side - 1 for side in size)
        # ((2h-1) * (2w-1), heads) -> (2h-1, 2w-1, heads)
        table = resample_pos_embed(table.unsqueeze(0), source, target)[0]
        rows, columns = (torch.arange(side, device=table.device)
                         for side in size)
        rows = rows[:, None] - rows + size[0] - 1  # (h, h)
        columns = columns[:, None] - columns + size[1] - 1  # (w, w)
        # (h, w, h, w, heads) -> (T, T, heads) -> (1, heads, T, T)
        bias = table[rows[:, None, :, None], columns[None, :, None]]
        return bias.flatten(2, 3).flatten(0, 1).permute(2, 0, 1)[None]

    def _output(self, x: Tensor, stage: int, sides: Sequence[int],
                grid: Tuple[int, int], index: Optional[Tensor],
                outs: List[Tensor]) -> None:
        """Append the output of a stage, (B, N, k, k, C), if it is wanted."""
        if stage not in self.out_indices:
            return
        norm = self.norms[str(stage)]
        if index is not None:
            outs.append(norm(x.flatten(2, 3)))  # (B, V, k * k, C)
            return
        height, width = (-(-side // min(16, self.strides[stage]))
                         for side in sides)
        # (B, N, k, k, C) -> (B, h, w, k, k, C) -> (B, h, k, w, k, C)
        #                 -> (B, h * k, w * k, C) -> (B, H_i, W_i, C)
        x = x.unflatten(1, grid).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        x = x[:, :height, :width]
        if stage == 3:
            x = F.max_pool2d(x.permute(0, 3, 1, 2), 2, ceil_mode=True
                             ).permute(0, 2, 3, 1)
        if self.out_type == 'avg_featmap':
            outs.append(norm(x.mean(dim=(1, 2))))
        else:
            outs.append(norm(x).permute(0, 3, 1, 2).contiguous())

    def check_mask(self, x: Tensor) -> None:
        """Raise a UserError if images cannot be masked."""
        check_sides(x, UNIT)
        if 'window' in self.attention or 3 in self.out_indices:
            raise UserError(
                'masked images have no windows and no output at 1/32: set '
                "attention='global' and out_indices up to 2 in HiViT.")

    def fit_checkpoint(self, content: dict, source: str
                       ) -> Tuple[Dict[str, Tensor], 'LoadReport']:
        """Adapt a checkpoint of HiViT: the official, mmpretrain's or ours.

        Position tables are resampled to ``img_size``. Norms of outputs and
        relative positions that the file lacks keep their initial values, as
        in the official fine-tuning.

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
        for name in list(tensors):
            if name.endswith('relative_position_index'):
                del tensors[name]
        if 'pos_embed' in tensors:  # mmpretrain
            tensors['absolute_pos_embed'] = tensors.pop('pos_embed')
        resampled = {}
        for name in own.keys() & tensors.keys():
            tables = _tables(name, tensors[name], self.pos_grid)
            if tables and tensors[name].shape != own[name].shape:
                old, new = tables
                one = tensors[name].reshape(1, old[0] * old[1], -1)
                # (1, h, w, C) -> the shape of the table
                tensors[name] = resample_pos_embed(one, old, new).reshape(
                    own[name].shape)
                resampled[name] = tables
        new = add_output_norms(
            tensors, own, f'norms.{max(self.out_indices)}', ('fc_norm', ))
        for name in own.keys() - tensors.keys():
            if name.endswith('relative_position_bias_table'):
                new[name] = 'starts at zero'
                tensors[name] = torch.zeros(own[name].shape, device='cpu')
        return fit_by_name(self, tensors, source, new, resampled)


def _tables(name: str, table: Tensor, grid: Tuple[int, int]
            ) -> Optional[Tuple[Tuple[int, int], Tuple[int, int]]]:
    """Grids of a square position table in a file, and of that wanted."""
    if name == 'absolute_pos_embed':
        count, target = table.shape[1], grid
    elif name.endswith('relative_position_bias_table'):
        count, target = table.shape[0], tuple(2 * n - 1 for n in grid)
    else:
        return None
    side = round(count**0.5)
    return ((side, side), target) if side * side == count else None


def _check_attention(attention: Union[str, Sequence[str]],
                     depth: int) -> Tuple[str, ...]:
    kinds = (attention, ) * depth if isinstance(attention, str) else tuple(
        attention)
    if len(kinds) != depth:
        raise UserError(
            f'attention has {len(kinds)} entries, but the main stage has '
            f'{depth} blocks: give one word, or one per block.')
    for kind in kinds:
        check_choice('attention', kind, ('global', 'window'))
    return kinds
