"""From what a checkpoint file holds to the encoder of a plain ViT."""
import math
import re
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten
from .layouts import LAYOUTS, fuse

# Where training code puts the weights, and averaged weights before others.
# In mmengine's own files 'state_dict' holds the averaged ones already.
EMA_ENTRIES = ('state_dict_ema', 'model_ema', 'teacher')
ENTRIES = EMA_ENTRIES + ('state_dict', 'model', 'module', 'model_state',
                         'network', 'student')
# What wrappers of a training put into the middle of names.
WRAPPERS = re.compile(
    r'_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.|_orig_mod\.')
# The one tensor that every layout has, and what precedes it.
ANCHOR = re.compile(
    r'(.*?)(?:patch_embed\.proj(?:ection)?'
    r'|embeddings\.patch_embeddings\.projection)\.weight')

ENCODER = re.compile(
    r'(cls_token|dist_token|reg_token|pos_embed|prefix_pos_embed'
    r'|(patch_embed\.proj|norm_pre|norm|fc_norm)\.(weight|bias)'
    r'|blocks\.\d+\.((norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)'
    r'|ls[12]\.gamma))$')
# Parts that HPViT cannot represent, and whose loss is customary: ViTDet and
# BEiT are fine-tuned without them by many.
RELATIVE_POSITION = re.compile(
    r'.*(relative_position_bias_table|rel_pos_[hw]|relative_position_bias)$')
# Parts that change what the blocks compute, and can neither be represented
# nor left out.
UNSUPPORTED = (
    (re.compile(r'.*\.(mlp|ffn)\.(w12|w3|w1|w2|weights_in|weights_out|fc1_[gx]'
                r'|gate_proj|up_proj|down_proj)\.'), 'SwiGLU'),
    (re.compile(r'.*(rope|rotary|freqs)'), 'rotary positions'),
    (re.compile(r'.*\.attn\.(q_norm|k_norm|ln_[qk]|norm)\.'),
     'norms inside the attention'),
    (re.compile(r'.*\.mlp\.(norm|ffn_ln)\.'), 'a norm inside the MLP'),
    (re.compile(r'patch_embed\.(?!proj\.)'),
     'more than a projection in its patch embedding'),
)
# Parts of no use for a backbone: (name, why).
USELESS = (
    (re.compile(r'mask_token'), 'mask token of the pre-training'),
    (re.compile(r'decoder'), 'decoder of the pre-training'),
    (re.compile(r'(head|fc_head|lm_head|classifier|cls_head)'),
     'classification or pre-training head'),
    (re.compile(r'.*relative_position_index$'), 'index, not a weight'),
    (re.compile(r'(simfp|fpn|neck|fpn_lateral|fpn_output)'),
     'neck of a detector or segmentor'),
    (re.compile(r'(pooler|attn_pool|pre_logits)'), 'pooling before a head'),
)

SIZES = {(192, 12): 'tiny', (384, 12): 'small', (768, 12): 'base',
         (1024, 24): 'large', (1280, 32): 'huge'}


@dataclass
class PlainViT:
    """The encoder of a checkpoint, in MAE's names.

    Attributes:
        source: The file or address, for messages.
        layout: Name of the layout, such as 'MAE or timm ViT'.
        tensors: The encoder's tensors. ``pos_embed`` has the rows of the
            patches alone, (1, N, C); those of the prefix tokens are in
            ``prefix_pos_embed``, (1, P, C), in the order of
            ``prefix_tokens``. ``dist_token`` has become ``reg_token``.
        grid: Tokens along the height and the width of ``pos_embed``; None
            where there is none.
        position_rows: Rows that the file's position embedding had for prefix
            tokens.
        has_dist_token: Whether ``reg_token`` is a distillation token.
        ignored: What else the file holds, and why it is not used.
        config: The model's description, where the file has one.
    """
    source: str
    layout: str
    tensors: Dict[str, Tensor]
    grid: Optional[Tuple[int, int]] = None
    position_rows: int = 0
    has_dist_token: bool = False
    ignored: Dict[str, str] = field(default_factory=dict)
    config: dict = field(default_factory=dict)

    @property
    def embed_dims(self) -> int:
        return self.tensors['patch_embed.proj.weight'].shape[0]

    @property
    def patch_size(self) -> Tuple[int, int]:
        return tuple(self.tensors['patch_embed.proj.weight'].shape[-2:])

    @property
    def num_layers(self) -> int:
        numbers = [int(name.split('.')[1]) for name in self.tensors
                   if name.startswith('blocks.')]
        return max(numbers, default=-1) + 1

    @property
    def feedforward_channels(self) -> Optional[int]:
        weight = self.tensors.get('blocks.0.mlp.fc1.weight')
        return None if weight is None else weight.shape[0]

    @property
    def num_heads(self) -> Optional[int]:
        """Heads, where the file tells; the tensors do not."""
        return self.config.get('num_attention_heads')

    @property
    def prefix_tokens(self) -> Tuple[str, ...]:
        """The prefix tokens in their order."""
        return tuple(name for name in ('cls_token', 'reg_token')
                     if name in self.tensors)

    @property
    def size_name(self) -> str:
        """What people call a ViT of this size, such as 'ViT-L'."""
        size = SIZES.get((self.embed_dims, self.num_layers))
        text = f'{self.num_layers} blocks of width {self.embed_dims}'
        return f'ViT-{size[0].upper()} ({text})' if size else f'ViT of {text}'


def read_plain(content: dict, source: str, prefix: Optional[str] = None,
               drop: Sequence[str] = (),
               grid: Optional[Tuple[int, int]] = None) -> PlainViT:
    """Find the encoder of a ViT in what a checkpoint file holds.

    Args:
        content: What the file holds, as ``read_checkpoint`` returns it.
        source: Its name, for messages.
        prefix: What precedes the encoder's names, with its dot. Defaults to
            None: found by the name of the patch embedding.
        drop: Parts to leave out although they changed what the blocks
            computed: 'relative_position'.
        grid: The grid of the position embedding, if it is known. Needed
            where it is not square.

    Returns:
        The encoder, in MAE's names.

    Raises:
        UserError: If there is no encoder of a plain ViT, or one with parts
            that HPViT cannot represent.
    """
    for name in drop:
        if name != 'relative_position':
            raise UserError(f"drop may hold 'relative_position', but it holds "
                            f'{name!r}.')
    tensors, outside = find_encoder(content, source, prefix)
    layout = next((one for one in LAYOUTS if one.matches(tensors)), None)
    if layout is None:
        raise UserError(
            f'{source} is of no layout that can be loaded: it has a patch '
            f'embedding, but no blocks of a plain ViT '
            f'({shorten(list(tensors))}).')
    shape = tuple(tensors[next(filter(ANCHOR.fullmatch, tensors))].shape)
    if len(shape) != 4:
        raise UserError(f'{source} embeds patches by a kernel of shape '
                        f'{shape}, and HPViT by one of four dimensions: it is '
                        'not a ViT of images.')
    plain = PlainViT(source, layout.name, {}, config=_config(content))
    plain.ignored.update(dict.fromkeys(outside, 'not in the encoder'))
    relative = []
    renamed = fuse({layout.rename(name): t for name, t in tensors.items()})
    if layout.name == 'HPViT':
        plain.tensors = renamed
        if 'pos_embed' in renamed:  # prefix tokens have no rows in it
            plain.grid = _grid(renamed['pos_embed'].shape[1], grid)
        return plain
    for name, tensor in renamed.items():
        for pattern, what in UNSUPPORTED:
            if pattern.match(name):
                raise UserError(
                    f'{source} has {what} ({name}), which HPViT cannot '
                    'represent: take a checkpoint of a plain ViT without.')
        useless = next((why for pattern, why in USELESS
                        if pattern.match(name)), None)
        if ENCODER.match(name):
            plain.tensors[name] = tensor
        elif RELATIVE_POSITION.match(name):
            relative.append(name)
        elif useless:
            plain.ignored[name] = useless
        elif name.startswith('blocks.'):
            raise UserError(
                f'{source} has a part that HPViT does not know, {name}: it '
                'is not (only) a plain ViT.')
        else:
            plain.ignored[name] = 'unknown, outside of the blocks'
    if relative and 'relative_position' not in drop:
        raise UserError(
            f'{source} has relative positions ({shorten(relative)}), which '
            'HPViT cannot represent: to leave them out, which changes what '
            "the blocks compute, set drop=['relative_position'] in init_cfg "
            '(--drop relative_position).')
    plain.ignored.update(
        dict.fromkeys(relative, 'relative position, dropped as you allowed'))
    _split_position(plain, grid)
    return plain


def find_encoder(content: dict, source: str, prefix: Optional[str] = None
                 ) -> Tuple[Dict[str, Tensor], List[str]]:
    """The tensors of the encoder, without wrappers, and the other names.

    Raises:
        UserError: If there is no patch embedding, or there are several.
    """
    tensors = flatten(content)
    anchors = [match[1] for match in map(ANCHOR.fullmatch, tensors) if match]
    if prefix is not None:
        anchors = [one for one in anchors if one == prefix]
    if not anchors:
        where = f' behind the prefix {prefix!r}' if prefix else ''
        what = shorten(list(tensors)) or 'it has no tensors'
        raise UserError(
            f'{source} is of no layout that can be loaded: there is no patch '
            f'embedding of a plain ViT{where} among its tensors ({what}).')
    if len(anchors) > 1 and 'backbone.' in anchors:
        anchors = ['backbone.']
    if len(anchors) > 1:
        raise UserError(
            f'{source} holds {len(anchors)} encoders ({shorten(anchors)}): '
            'say which one by prefix=... in init_cfg (--prefix).')
    start = anchors[0]
    inside = {name[len(start):]: tensor for name, tensor in tensors.items()
              if name.startswith(start)}
    return inside, [n for n in tensors if not n.startswith(start)]


def flatten(content: dict) -> Dict[str, Tensor]:
    """The tensors of a file, out of the entries of a training."""
    while True:
        entry = next((key for key in ENTRIES if _holds_tensors(content, key)),
                     None)
        if entry is None:
            break
        content = content[entry]
    return {WRAPPERS.sub('', name): tensor
            for name, tensor in content.items()
            if isinstance(name, str) and isinstance(tensor, Tensor)}


def _holds_tensors(content: dict, key: str) -> bool:
    entry = content.get(key)
    return isinstance(entry, dict) and any(
        isinstance(value, (Tensor, dict)) for value in entry.values())


def _config(content: dict) -> dict:
    config = content.get('config')
    return config if isinstance(config, dict) else {}


def _split_position(plain: PlainViT,
                    grid: Optional[Tuple[int, int]]) -> None:
    """Part the rows of the prefix tokens from those of the patches.

    Whether prefix tokens have rows of their own depends on the layout: in
    timm all have them or none, in DINOv2 and Hugging Face registers have
    none, DeiT-III gives none to cls, and ViTDet keeps the row of a cls token
    that it has dropped. The count of rows decides, because of numbers so
    close together at most one is a square.
    """
    tensors = plain.tensors
    dist = tensors.pop('dist_token', None)
    if dist is not None:
        if 'reg_token' in tensors:
            raise UserError(f'{plain.source} has a distillation token and '
                            'registers, which HPViT cannot represent.')
        tensors['reg_token'] = dist
        plain.has_dist_token = True
    counts = [tensors[name].shape[1] for name in plain.prefix_tokens]
    position = tensors.pop('pos_embed', None)
    if position is None:
        return
    if position.ndim == 4:  # (1, h, w, C) -> (1, h * w, C)
        grid, position = position.shape[1:3], position.flatten(1, 2)
    elif position.ndim == 2:
        position = position[None]
    if position.ndim != 3:
        raise UserError(f'pos_embed of {plain.source} has the shape '
                        f'{tuple(position.shape)}: it is damaged.')
    total = position.shape[1]
    rows = {0, sum(counts), *counts[:1]} if counts else {0, 1}
    known = grid or _grid_of_config(plain)
    grids = {n: _grid(total - n, known) for n in sorted(rows, reverse=True)}
    found = [n for n, one in grids.items() if one]
    exact = [n for n in found if known and grids[n] == tuple(known)]
    if not exact and len(found) != 1:
        raise UserError(
            f'pos_embed of {plain.source} has {total} rows, which is '
            f'{"more than one" if found else "no"} square grid: set img_size '
            'and patch_size to those of its pre-training.')
    first = (exact or found)[0]
    plain.grid = grids[first]
    plain.position_rows = first
    tensors['pos_embed'] = position[:, first:]
    if first and counts:
        prefix = position[:, :first]
        if first < sum(counts):
            zeros = position.new_zeros(1, sum(counts) - first,
                                       position.shape[2])
            prefix = torch.cat([prefix, zeros], dim=1)
        tensors['prefix_pos_embed'] = prefix


def _grid(count: int, known: Optional[Tuple[int, int]]
          ) -> Optional[Tuple[int, int]]:
    """The grid of so many tokens: the known one, or a square; else None."""
    if known and count == known[0] * known[1]:
        return tuple(known)
    side = math.isqrt(max(count, 0))
    return (side, side) if side and side * side == count else None


def _grid_of_config(plain: PlainViT) -> Optional[Tuple[int, int]]:
    size = plain.config.get('image_size')
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return height // plain.patch_size[0], width // plain.patch_size[1]
