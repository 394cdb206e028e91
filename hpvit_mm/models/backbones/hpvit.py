"""HPViT: a pre-trained plain ViT, regrouped into a hierarchical one."""
import math
from functools import partial
from typing import (TYPE_CHECKING, Callable, Dict, Optional, Sequence, Tuple,
                    Union)

import torch
import torch.nn as nn
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from ..layers import (AvgPooling, Block, ConvPooling, PatchEmbed, Rotary,
                      TokenLayout, pool_groups, pool_places, pool_tokens,
                      regroup, resample_pos_embed, sincos_pos_embed)
from ..layers.masking import check_sides, visible_units
from ..layers.norm import build_norm
from .archs import ARGUMENTS, ROTARY, resolve_arch
from .arguments import (OUT_TYPES, check_ascending, check_attention,
                        check_choice, check_norm, check_out_indices,
                        check_rate, check_stage_depths, check_with_cp, pair,
                        whole_number)
from .base import BaseBackbone, Stage

if TYPE_CHECKING:
    from hpvit_mm.checkpoints import LoadReport

POOLINGS = ('conv', 'avg')
EMBEDDINGS = ('pos_embed', 'cls_token', 'reg_token', 'prefix_pos_embed')


@MODELS.register_module()
class HPViT(BaseBackbone):
    """A hierarchical backbone with the weights of a plain vision transformer.

    The patch embedding keeps its pre-trained kernel and takes a smaller
    stride; the pre-trained blocks are divided into stages, with 2x2 pooling
    between them. From "Rethinking Hierarchies in Pre-trained Plain Vision
    Transformer" (arXiv 2211.01785). The attention is ours: with 'dilated' the
    network computes, before the first pooling, the plain ViT on the image
    shifted by multiples of the stride: exactly without a position embedding
    (DINOv3), else with one that is interpolated between the patches.

    **A plain ViT** is the network with one stage, which is the default where
    patches do not overlap: ``patch_stride=16``.

    Parameter names are MAE's; ``pools.{s}`` (between stage s and s + 1) and
    ``norms.{s}`` (of the output of stage s; ``norms.block{i}`` of that of
    block i) are new. Blocks after the last output are not built, so that
    every parameter gets a gradient.

    Args:
        arch: A name such as 'base', 'dinov3-base' or 'siglip2-so400m' (all
            are in archs.py), or a dict with ``embed_dims``, ``num_layers``,
            ``num_heads`` and ``feedforward_channels``, or with ``base``, a
            name, and what differs from it. The flags of a family are entries
            too: of ``PARTS``, see below, and defaults of those arguments
            that are None. Defaults to 'base'.
        img_size: Side of the pre-training images in pixels, or (height,
            width). It sets the grid of ``pos_embed`` and nothing else: the
            input may have any size. Defaults to that of ``arch``, else 224.
        patch_size: Side of the patches, in pixels. Defaults to that of
            ``arch``, else 16; and to 16 if that of ``arch`` is no multiple of
            ``patch_stride``, as the 14 of DINOv2: the kernel is resized.
        patch_stride: Stride of the first stage, in pixels. Defaults to 4.
        in_channels: Channels of the image. Defaults to 3.
        stage_depths: Blocks per stage, summing to ``num_layers``; 0 is
            allowed. Defaults to (2, 2, num_layers - 6, 2), and to one stage
            where ``patch_stride`` is ``patch_size``.
        pooling: 'avg', or 'conv', a 2x2 convolution that starts as the
            average. Defaults to 'avg', which has no parameters and is
            cheaper (docs/study.md found no difference).
        attention: 'global', 'window' or 'dilated' for all blocks, or a
            sequence with one entry per stage, each a name or a sequence of
            names with one per block. Defaults to 'dilated' where the stride
            is smaller than ``patch_size`` and 'global' elsewhere.
        window_size: Maximum number of tokens along a side of a window; all
            windows of a grid have the same size. Defaults to 14.
        out_indices: Stages whose output is returned, ascending; negative
            ones count from the end. Defaults to all stages for 'featmap' and
            to the last one for 'avg_featmap'.
        out_blocks: Blocks whose output is returned, instead of
            ``out_indices``: ascending, counted from 0 through all stages, as
            the ``out_indices`` of timm's and mmseg's plain ViTs; negative
            ones count from the end. Each output has the stride of its stage,
            and a norm that starts as the last norm of the checkpoint
            (DINOv2's ``get_intermediate_layers``). Defaults to None.
        out_type: 'featmap' returns maps of shape (B, C, H_i, W_i);
            'avg_featmap' returns their averages of shape (B, C), averaged
            and then normalised as in MAE's fine-tuning. Defaults to
            'featmap'.
        qkv_bias: Whether queries, keys and values have a bias; 'qv' for
            queries and values alone. Defaults to that of ``arch``, else True.
        norm_cfg: Config of the norms over the last dimension. Defaults to
            that of ``arch``, else to LayerNorm with MAE's eps of 1e-6.
        layer_scale_init_value: Initial value of LayerScale; 0 omits it.
            Defaults to that of ``arch``, else 0.
        drop_rate: Dropout after the position embedding, the attention and
            the MLP layers. Defaults to 0.
        drop_path_rate: Probability of dropping a branch of the last block;
            it rises linearly from 0 at the first. Defaults to 0.
        pre_norm: Whether tokens are normalised before the first block, as in
            CLIP. Defaults to that of ``arch``, else False.
        with_cls_token: Whether to keep the cls token: one copy per attention
            group, averaged when groups are pooled. It takes part in the
            attention and is not returned. Defaults to that of ``arch``: True
            where a named family has one, False for the plain sizes.
        num_registers: Further prefix tokens after cls, treated alike: the
            registers of DINOv2, or the distillation token of DeiT. Defaults
            to those of ``arch``, else 0.
        with_cp: Activation checkpointing: whether to recompute activations
            in the backward pass instead of keeping them; one value, or one
            per stage. Defaults to False.
        frozen_stages: -1 freezes nothing, 0 the embeddings, n also the first
            n stages, with their output norms and the pooling between them.
            Defaults to -1.
        init_cfg: ``dict(type='Pretrained', checkpoint=PATH_OR_URL)`` loads a
            plain or a hierarchical checkpoint; a missing or misshapen tensor
            is an error. Defaults to None: MAE's initialisation.

    Parts that ``arch`` may tell, with their defaults:

    ===========================  =============================================
    ``act=None``                 'gelu' (if None), 'gelu_tanh', 'quick_gelu' or
                                 'swiglu'
    ``bias=True``                of the layers behind attention and in the MLP
    ``attn_norm``, ``mlp_norm``  norms in front of the second layers
    ``post_norm=False``          norms behind attention and MLP, not in front
    ``qk_norm=False``            norms of the queries and keys of each head
    ``patch_norm=False``         a norm of the embedded patches
    ``abs_pos=True``             a learned position embedding
    ``rotary=None``              entries of :class:`Rotary`, ``learned=True``
                                 in all blocks; and 'order', 'style': see
                                 :func:`channel_order`
    ===========================  =============================================

    Rotary positions are those of the images that the network gets, padding
    of a batch included. After a pooling, a token is where the
    mean of its tokens is. In windows they are those of the whole image.

    Raises:
        UserError: If an argument has a value that is not allowed, or if
            arguments contradict each other.
    """
    OPTIONS = BaseBackbone.OPTIONS + ('prefix', 'drop', 'patch_resize')
    block_classes = (Block, )

    def __init__(self,
                 arch: Union[str, dict] = 'base',
                 img_size: Union[int, Sequence[int], None] = None,
                 patch_size: Optional[int] = None,
                 patch_stride: int = 4,
                 in_channels: int = 3,
                 stage_depths: Optional[Sequence[int]] = None,
                 pooling: str = 'avg',
                 attention: Union[str, Sequence, None] = None,
                 window_size: int = 14,
                 out_indices: Union[int, Sequence[int], None] = None,
                 out_blocks: Union[int, Sequence[int], None] = None,
                 out_type: str = 'featmap',
                 qkv_bias: Union[bool, str, None] = None,
                 norm_cfg: Optional[dict] = None,
                 layer_scale_init_value: Optional[float] = None,
                 drop_rate: float = 0.,
                 drop_path_rate: float = 0.,
                 pre_norm: Optional[bool] = None,
                 with_cls_token: Optional[bool] = None,
                 num_registers: Optional[int] = None,
                 with_cp: Union[bool, Sequence[bool]] = False,
                 frozen_stages: int = -1,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        arch = resolve_arch(arch)
        given = dict(img_size=img_size, patch_size=patch_size,
                     qkv_bias=qkv_bias, norm_cfg=norm_cfg,
                     layer_scale_init_value=layer_scale_init_value,
                     pre_norm=pre_norm, with_cls_token=with_cls_token,
                     num_registers=num_registers)
        flags = {name: arch.get(name, default) if given[name] is None
                 else given[name] for name, default in ARGUMENTS.items()}
        self.arch = dict(arch, **flags)
        patch_size = whole_number('patch_size', flags['patch_size'], 1)
        whole_number('patch_stride', patch_stride, 1)
        whole_number('window_size', window_size, 1)
        whole_number('in_channels', in_channels, 1)
        whole_number('num_registers', flags['num_registers'], 0)
        for name in ('pre_norm', 'with_cls_token'):
            check_choice(name, flags[name], (True, False))
        norm_cfg = flags['norm_cfg']
        layer_scale_init_value = flags['layer_scale_init_value']
        if not isinstance(layer_scale_init_value, (int, float)) \
                or not math.isfinite(layer_scale_init_value):
            raise UserError('layer_scale_init_value must be a number, but it '
                            f'is {layer_scale_init_value!r}.')
        layer_scale_init_value = float(layer_scale_init_value)
        with_cls_token = flags['with_cls_token']
        num_registers = flags['num_registers']
        height, width = pair('img_size', flags['img_size'])
        self.pos_grid = (-(-height // patch_size), -(-width // patch_size))
        if given['patch_size'] is None \
                and patch_size % patch_stride and 16 % patch_stride == 0:
            patch_size = 16  # the kernel is resized
            if img_size is not None:
                self.pos_grid = (-(-height // 16), -(-width // 16))
        self.embed_dims = arch['embed_dims']
        self.stage_depths = check_stage_depths(
            stage_depths, arch['num_layers'], patch_stride >= patch_size)
        num_stages = len(self.stage_depths)
        check_choice('pooling', pooling, POOLINGS)
        check_choice('out_type', out_type, OUT_TYPES)
        self.out_type = out_type
        self.out_indices = self.out_blocks = ()
        if out_blocks is None:
            self.out_indices = check_out_indices(out_indices, out_type,
                                                 num_stages)
        elif out_indices is None:
            self.out_blocks = check_ascending(
                'out_blocks', out_blocks, 'block', arch['num_layers'],
                'arch')
        else:
            raise UserError(
                f'out_indices={out_indices} counts stages and out_blocks='
                f'{out_blocks} blocks: give one of them.')
        if patch_stride > patch_size or (patch_size - patch_stride) % 2:
            raise UserError(
                f'patch_stride={patch_stride} does not fit '
                f'patch_size={patch_size}: it must be from 1 to patch_size, '
                'and their difference even, so that tokens stay centred on '
                'their cells.')
        check_rate('drop_rate', drop_rate)
        check_rate('drop_path_rate', drop_path_rate)
        self.patch_size = patch_size
        self.in_channels = in_channels
        self.out_channels = (self.embed_dims, ) * len(
            self.out_indices + self.out_blocks)
        self.strides = tuple(patch_stride << s for s in range(num_stages))
        self.attention = check_attention(attention, self.stage_depths,
                                         self.strides, patch_size)
        self.window_size = window_size
        with_cp = check_with_cp(with_cp, num_stages)
        self.frozen_stages = frozen_stages
        check_choice('qkv_bias', flags['qkv_bias'], (True, False, 'qv'))
        check_norm(norm_cfg, self.embed_dims)

        self.patch_embed = PatchEmbed(in_channels, self.embed_dims,
                                      patch_size, patch_stride)

        def norm(is_built: bool) -> nn.Module:
            return build_norm(norm_cfg, self.embed_dims) \
                if is_built else nn.Identity()

        self.norm_patches = norm(arch['patch_norm'])
        if arch['abs_pos']:
            self.pos_embed = nn.Parameter(
                sincos_pos_embed(self.embed_dims, self.pos_grid))
        self.num_prefix = int(with_cls_token) + num_registers
        if with_cls_token:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, self.embed_dims))
        if num_registers:
            self.reg_token = nn.Parameter(
                torch.zeros(1, num_registers, self.embed_dims))
        if self.num_prefix and arch['abs_pos']:
            # Separate from the tokens, so that a checkpoint can be written
            # as it was read.
            self.prefix_pos_embed = nn.Parameter(
                torch.zeros(1, self.num_prefix, self.embed_dims))
        self.drop_after_pos = nn.Dropout(drop_rate)
        self.norm_pre = norm(flags['pre_norm'])

        # Blocks after the last output would get no gradient, which stops
        # distributed training.
        stage_of_block = [
            s for s in range(num_stages) for _ in range(self.stage_depths[s])
        ]
        if self.out_blocks:
            num_blocks = max(self.out_blocks) + 1
            used_stages = stage_of_block[num_blocks - 1] + 1
            output_stages = [stage_of_block[i] for i in self.out_blocks]
        else:
            used_stages = max(self.out_indices) + 1
            num_blocks = sum(self.stage_depths[:used_stages])
            output_stages = self.out_indices
        stage_of_block = stage_of_block[:num_blocks]
        self.out_strides = tuple(self.strides[s] for s in output_stages)
        outputs = [str(s) for s in self.out_indices] + [
            f'block{i}' for i in self.out_blocks]
        rotary = arch['rotary'] and {
            name: value for name, value in dict(
                ROTARY, **arch['rotary']).items()
            if name not in ('order', 'style')}
        if rotary and rotary['learned']:
            rotary['learned'] = num_blocks, arch['num_heads']
        self.rotary = Rotary(self.embed_dims // arch['num_heads'],
                             **rotary) if rotary else None
        drop_path_step = drop_path_rate / max(1, arch['num_layers'] - 1)
        self.blocks = nn.ModuleList(
            Block(self.embed_dims, arch['num_heads'],
                  arch['feedforward_channels'], flags['qkv_bias'], norm_cfg,
                  layer_scale_init_value, drop_rate, i * drop_path_step,
                  with_cp[stage_of_block[i]], arch['act'] or 'gelu',
                  arch['bias'], arch['attn_norm'], arch['mlp_norm'],
                  arch['post_norm'],
                  arch['qk_norm'])
            for i in range(num_blocks))
        self.pools = nn.ModuleList(
            ConvPooling(self.embed_dims) if pooling == 'conv' else AvgPooling(
            ) for _ in range(used_stages - 1))
        self.norms = nn.ModuleDict({name: norm(True) for name in outputs})

        self.no_decay = tuple(name for name in EMBEDDINGS
                              if hasattr(self, name))
        self.learns_places = bool(rotary and rotary['learned'])
        if self.learns_places:
            self.no_decay += ('rotary.freqs', )
        self.stem = ('patch_embed', 'norm_patches', 'drop_after_pos',
                     'norm_pre', *self.no_decay)
        self.stages = tuple(Stage(
            blocks=tuple(f'blocks.{i}' for i, of in enumerate(stage_of_block)
                         if of == s),
            pooling=(f'pools.{s - 1}', ) if s else (),
            norms=tuple(f'norms.{name}' for name, of in zip(
                outputs, output_stages) if of == s)
        ) for s in range(used_stages))

        self._init_parameters()
        self.freeze()

    def forward(self, x: Tensor, mask: Optional[Tensor] = None
                ) -> Tuple[Tensor, ...]:
        """Compute the features of images, or of their visible units.

        Args:
            x: Images of shape (B, in_channels, H, W), of any H and W.
            mask: Boolean mask of shape (B, H / unit, W / unit), True where an
                image is hidden, with equally many visible units per image;
                ``mask_unit`` tells the unit. Defaults to None: all is
                visible.

        Returns:
            One tensor per stage in ``out_indices``, or per block in
            ``out_blocks``: (B, C, H_i, W_i) with ``H_i = ceil(H / stride_i)``
            for 'featmap', (B, C) for 'avg_featmap'. With a mask
            (B, V, t_i, C): the V visible units in raster order, with the t_i
            tokens that a stage has in a unit.
        """
        self.check_images(x)
        if mask is not None:
            return self._forward_visible(x, mask)
        layout = self._layout(0, self.patch_embed.grid(x))
        # (B, in_channels, H, W) -> (B, G, T, C)
        x = self.norm_patches(self.patch_embed(x, layout))
        if hasattr(self, 'pos_embed'):
            x = x + self._position(layout)
        places, patches = self._places(layout, x)
        if self.num_prefix:
            # (1, P, C) -> (B, G, P, C), in front of the tokens
            prefix = self._prefix().expand(
                x.shape[0], layout.num_groups, -1, -1)
            x = torch.cat([prefix, x], dim=2)
        x = self.norm_pre(self.drop_after_pos(x))

        outs, key_mask, rope = [], None, None
        blocks = enumerate(self.blocks)
        for s, stage in enumerate(self.stages):
            pool = None
            for i in range(len(stage.blocks)):
                number, block = next(blocks)
                wanted = self._layout(s, layout.grid, i)
                x = regroup(x, layout, wanted, self.num_prefix)
                if i == 0 or layout != wanted:
                    key_mask = wanted.key_mask(
                        x.shape[0], self.num_prefix, x.device)
                    if self.rotary:
                        places = regroup(places, layout, wanted)
                        rope = self._rope(places, patches, number,
                                          wanted.dilation)
                elif self.learns_places:
                    rope = self._rope(places, patches, number,
                                      wanted.dilation)
                layout = wanted
                pool = self._block_pooling(s, i, number, layout)
                x = block(x, key_mask, pool, rope)
                if number in self.out_blocks:
                    outs.append(self._output(x, layout, f'block{number}',
                                             pool is not None))
            if s in self.out_indices:
                outs.append(self._output(x, layout, str(s), pool is not None))
            if s < len(self.pools):
                if pool is None:
                    x = pool_tokens(x, layout, self.pools[s], self.num_prefix)
                if self.rotary:
                    places = pool_tokens(places, layout, AvgPooling())
                layout = layout.pooled
        return tuple(outs)

    @property
    def mask_unit(self) -> int:
        """Pixels along a side of a unit of masks.

        A unit has whole patches, and whole tokens in the last stage.
        """
        return max(self.patch_size, self.strides[len(self.stages) - 1])

    @property
    def size_unit(self) -> int:
        """Pixels along a side that make whole tokens and whole windows."""
        windows = [
            self.window_size * self.strides[s] * (
                max(1, self.patch_size // self.strides[s])
                if kind == 'dilated' else 1)
            for s in range(len(self.stages))
            for kind in self.attention[s] if kind != 'global']
        return math.lcm(self.strides[len(self.stages) - 1], *windows)

    def _forward_visible(self, x: Tensor, mask: Tensor
                         ) -> Tuple[Tensor, ...]:
        """The features of visible units; see :meth:`forward`.

        In the dilated layout all groups of a stage have a token in every
        patch of the image. A mask of patches therefore leaves equally many
        tokens in each group, with neighbours to pool at the same place.
        Patches go by units, so that the poolings after that, within a group,
        find their four tokens together too.
        """
        side = self.mask_unit // self.patch_size  # patches along a unit
        layout = self._layout(0, self.patch_embed.grid(x))
        self.check_mask(x)
        grid = tuple(length // self.mask_unit for length in x.shape[-2:])
        index = visible_units(mask, grid, x.device)
        offsets = torch.arange(side, device=x.device)
        # (B, V) -> 2 of (B, V, side, side) -> (2, B, V * side * side)
        visible = torch.stack(torch.broadcast_tensors(
            (index // grid[1] * side)[..., None, None] + offsets[:, None],
            (index % grid[1] * side)[..., None, None] + offsets)).flatten(2)
        x = self.norm_patches(self.patch_embed(x, layout, visible))

        def seen(table: Tensor) -> Tensor:
            # (1, G, h * w, C) -> (G, B, T, C) -> (B, G, T, C)
            return table[0][
                :, visible[0] * layout.size[1] + visible[1]].transpose(0, 1)

        if hasattr(self, 'pos_embed'):
            x = x + seen(self._position(layout))
        places, patches = self._places(layout, x)
        places = places if places is None else seen(places)
        if self.num_prefix:
            # (1, P, C) -> (B, G, P, C), in front of the tokens
            prefix = self._prefix().expand(*x.shape[:2], -1, -1)
            x = torch.cat([prefix, x], dim=2)
        x = self.norm_pre(self.drop_after_pos(x))

        outs = []
        blocks = enumerate(self.blocks)
        dilation = layout.dilation
        for s, stage in enumerate(self.stages):
            rope = None
            for _ in stage.blocks:
                number, block = next(blocks)
                if rope is None or self.learns_places:
                    rope = self._rope(places, patches, number, dilation)
                x = block(x, None, None, rope)
                if number in self.out_blocks:
                    outs.append(self._visible_output(
                        x, dilation, side, f'block{number}'))
            if s in self.out_indices:
                outs.append(self._visible_output(x, dilation, side, str(s)))
            if s == len(self.pools):
                break
            x = _pool_visible(x, dilation, side, self.pools[s],
                              self.num_prefix)
            if self.rotary:
                places = _pool_visible(places, dilation, side, AvgPooling())
            if dilation == (1, 1):
                side //= 2
            else:
                dilation = tuple(step // 2 for step in dilation)
        return tuple(outs)

    def _visible_output(self, x: Tensor, dilation: Tuple[int, int],
                        side: int, name: str) -> Tensor:
        """The normalised output of visible units, without prefix."""
        # (B, G, V * side * side, C) -> (B, dy, dx, V, side, side, C)
        # -> (B, V, side, dy, side, dx, C) -> (B, V, t, C)
        x = x[:, :, self.num_prefix:].unflatten(
            2, (-1, side, side)).unflatten(1, dilation)
        return self.norms[name](
            x.permute(0, 3, 4, 1, 5, 2, 6).flatten(2, 5))

    def check_mask(self, x: Tensor) -> None:
        """Raise a UserError if images (B, C, H, W) cannot be masked."""
        unit, sides = self.mask_unit, tuple(x.shape[-2:])
        check_sides(x, unit)
        grid = self.patch_embed.grid(x)
        for s, stride in enumerate(self.strides[:len(self.stages)]):
            step = max(1, self.patch_size // stride)
            layouts = {self._layout(s, grid, i)
                       for i in range(self.stage_depths[s])}
            if any(one.dilation != (step, step) or one.windows != (1, 1)
                   for one in layouts) or unit % stride:
                raise UserError(
                    f'stage {s} of HPViT cannot be computed on visible units '
                    f"alone at {sides[0]} x {sides[1]} pixels: its attention "
                    f"must be {'dilated' if step > 1 else 'global'!r}, in one "
                    f'window (window_size={self.window_size}).')
            grid = tuple(-(-length // 2) for length in grid)

    def _layout(self, stage: int, grid: Tuple[int, int],
                block: int = 0) -> TokenLayout:
        """The layout of the tokens in a block."""
        if not self.stage_depths[stage]:
            return TokenLayout.raster(grid)
        return TokenLayout.create(
            self.attention[stage][block], grid,
            max(1, self.patch_size // self.strides[stage]), self.window_size)

    def _block_pooling(self, stage: int, block: int, number: int,
                       layout: TokenLayout
                       ) -> Optional[Callable[[Tensor], Tensor]]:
        """Return the pooling that a block does itself, or None.

        A block does the pooling that follows it where only pooled tokens are
        used downstream, and where no grid has to be known: a compiled block
        would need a graph for many sizes of images.
        """
        if block + 1 < len(self.stages[stage].blocks) or (
                self.training and self.drop_after_pos.p) or (
                self.blocks[number].post_norm):
            return None
        if stage == len(self.pools):
            return None if layout.is_padded or self.out_type == 'featmap' \
                else partial(_average, num_prefix=self.num_prefix)
        pooling = self.pools[stage]
        if (stage in self.out_indices or number in self.out_blocks
                or not isinstance(pooling, AvgPooling)):
            return None
        if layout.neighbours == 'groups':
            return partial(pool_groups, dilation=layout.dilation,
                           pooling=pooling, num_prefix=self.num_prefix)
        if layout.neighbours == 'places':
            return partial(pool_places, size=layout.size, pooling=pooling,
                           num_prefix=self.num_prefix)
        return None

    def _output(self, x: Tensor, layout: TokenLayout, name: str,
                is_averaged: bool) -> Tensor:
        """The normalised output of a stage or block, without prefix."""
        norm = self.norms[name]
        if is_averaged:
            return norm(x)  # (B, C)
        if self.out_type == 'avg_featmap':
            return norm(layout.average(x[:, :, self.num_prefix:]))
        # Contiguous, not channels-last: convolutions keep the memory format,
        # and mmcv's RoIAlign silently reads any memory as NCHW.
        return layout.to_map(norm(x[:, :, self.num_prefix:]))

    def _prefix(self) -> Tensor:
        """The prefix tokens with their positions, (1, P, C)."""
        tokens = [
            getattr(self, name) for name in ('cls_token', 'reg_token')
            if hasattr(self, name)
        ]
        tokens = torch.cat(tokens, dim=1)
        if hasattr(self, 'prefix_pos_embed'):
            tokens = tokens + self.prefix_pos_embed
        return tokens

    def _position(self, layout: TokenLayout) -> Tensor:
        """The position embedding in a layout, (1, G, T, C)."""
        return layout.group(resample_pos_embed(
            self.pos_embed, self.pos_grid, layout.grid))

    def _places(self, layout: TokenLayout, x: Tensor
                ) -> Tuple[Optional[Tensor], Tuple[int, int]]:
        """Return where the first tokens are, and the patches of the image.

        Args:
            layout: Layout of the tokens.
            x: Tensor of their type and device.

        Returns:
            Rows and columns in patches, (1, G, T, 2), in fp32 or more; None
            without rotary positions. And the patches that a plain ViT has
            along the height and the width.
        """
        if self.rotary is None:
            return None, (0, 0)
        step = self.strides[0] / self.patch_size
        dtype = torch.promote_types(x.dtype, torch.float32)
        rows, columns = (
            (torch.arange(side, dtype=dtype, device=x.device) + 0.5) * step
            - 0.5 for side in layout.grid)
        # 2 of (H, W) -> (1, H, W, 2) -> (1, G, T, 2)
        places = torch.stack(
            torch.meshgrid(rows, columns, indexing='ij'), dim=-1)[None]
        return layout.group(places), tuple(
            -(-side * self.strides[0] // self.patch_size)
            for side in layout.grid)

    def _rope(self, places: Optional[Tensor], patches: Tuple[int, int],
              block: int, dilation: Tuple[int, int]) -> Optional[Tensor]:
        """Cosines and sines for tokens at some places, prefix included.

        (B or 1, G, T, 2) -> (2, B or 1, G, P + T, heads or 1, d / 2)

        Prefix tokens are not rotated, so that for them it matters where a
        dilated group is: it is where the plain ViT has its patches, on an
        image that is shifted.
        """
        if self.rotary is None:
            return None
        if self.num_prefix and dilation != (1, 1):
            places = places.round()  # less than half a patch away
        rope = self.rotary(places, patches, block)
        if not self.learns_places:
            rope = rope.unsqueeze(-2)
        if not self.num_prefix:
            return rope
        # prefix tokens are not rotated: angles of 0
        still = rope.new_zeros(*rope.shape[:3], self.num_prefix,
                               *rope.shape[4:])
        still[0] = 1
        return torch.cat([still, rope], dim=3)

    def _init_parameters(self) -> None:
        """Initialise as MAE does; ConvPooling and norms have their own."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.patch_embed.proj.weight.flatten(1))
        nn.init.zeros_(self.patch_embed.proj.bias)
        for name in ('cls_token', 'reg_token'):
            if hasattr(self, name):
                nn.init.normal_(getattr(self, name), std=.02)

    def fit_checkpoint(self, content: dict, source: str,
                       prefix: Optional[str] = None,
                       drop: Sequence[str] = (), patch_resize: str = 'pinv'
                       ) -> Tuple[Dict[str, Tensor], 'LoadReport']:
        """Adapt the encoder of a plain or a hierarchical ViT.

        Args:
            content: What the checkpoint file holds.
            source: Its name, for messages.
            prefix: What precedes the encoder's names. Defaults to None: it
                is found.
            drop: Parts to omit although they matter: 'relative_position',
                'rotary_position'. Defaults to none.
            patch_resize: How the kernel of the patch embedding is resized:
                'pinv', 'enlarge', 'bilinear' or 'pad'. Defaults to 'pinv'.

        Returns:
            Tensors by the backbone's names, and the report.

        Raises:
            UserError: If the format is unknown, if the encoder has parts that
                HPViT cannot represent, or if a tensor is missing or
                misshapen.
        """
        # Imported here, because that package imports this one.
        from hpvit_mm.checkpoints import fit, read_plain
        plain = read_plain(content, source, prefix, drop, grid=self.pos_grid)
        return fit(self, plain, patch_resize, drop)


def _pool_visible(x: Tensor, dilation: Tuple[int, int], side: int,
                  pooling: Callable[[Tensor], Tensor],
                  num_prefix: int = 0) -> Tensor:
    """Pool the tokens of visible units 2x2.

    (B, G, P + V * side * side, C) -> (B, G / 4, P + V * side * side, C), or
    (B, 1, P + V * side * side / 4, C) where there is one group.
    """
    if dilation != (1, 1):
        return pool_groups(x, dilation, pooling, num_prefix)
    prefix, tokens = x[:, :, :num_prefix], x[:, :, num_prefix:]
    # (B, 1, V * side * side, C) -> (B, V, side * side, C)
    tokens = tokens.squeeze(1).unflatten(1, (-1, side * side))
    tokens = pool_places(tokens, (side, side), pooling)
    return torch.cat([prefix, tokens.flatten(1, 2)[:, None]], dim=2)


def _average(x: Tensor, num_prefix: int) -> Tensor:
    """(B, groups, prefix + tokens, C) -> (B, C), without the prefix."""
    return x[:, :, num_prefix:].mean(dim=(1, 2))
