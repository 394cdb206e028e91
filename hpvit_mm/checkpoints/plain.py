"""Find the encoder of a plain ViT in the content of a checkpoint file."""
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.utils import shorten
from .architecture import HIDDEN, hidden_flags, told_by_periods
from .config_json import (check_config, heads_of_config, pretrained_cfg,
                          timm_name)
from .families import FAMILIES, fuse_mlp, fuse_qkv, recognise, rename
from .families.hpvit import FAMILY as HPVIT
from .positions import grid_of, grid_of_size, split_position

if TYPE_CHECKING:
    from hpvit_mm.models import HPViT

# Entries in which training code puts the weights, averaged ones first. (In
# mmengine's files 'state_dict' holds the averaged ones already.)
ENTRIES = ('state_dict_ema', 'model_ema', 'ema_model', 'ema', 'teacher',
           'target_encoder',
           'state_dict', 'model', 'module', 'model_state', 'network',
           'student', 'encoder')
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
# Put into the middle of names by the wrappers of a training.
WRAPPERS = re.compile(
    r'_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.|_orig_mod\.')
# The one weight that every family has, and what precedes it.
ANCHOR = re.compile('(.*?)(?:%s)\\.weight' % '|'.join(
    dict.fromkeys(family.anchor for family in FAMILIES)))

ENCODER = re.compile(
    r'(cls_token|dist_token|reg_token|pos_embed|prefix_pos_embed'
    r'|rotary\.freqs'
    r'|(patch_embed\.proj|norm_patches|norm_pre|norm|fc_norm)\.(weight|bias)'
    r'|blocks\.\d+\.((norm[12]|attn\.(qkv|proj|([qk]_)?norm)'
    r'|mlp\.(fc[12]|norm))\.(weight|bias)|ls[12]\.gamma))$')
# Parts without which a file is loaded only if the user says so.
DROPPABLE = dict(
    relative_position=re.compile(
        r'.*(relative_position_bias_table|rel_pos_[hw]|relative_position_bias'
        r'|shared_rel_pos\..*)$'),
    rotary_position=re.compile(r'.*(rope|rotary|freqs)'))
# Tables of rotary positions, which follow from the architecture.
ROTARY_TABLE = re.compile(
    r'.*(rope_embed\.periods|rope\.freqs_(cos|sin)|rotary.*inv_freq)$')
# Parts that change what the blocks compute, and cannot be represented.
UNSUPPORTED = (
    (re.compile(r'.*\.attn\.ln_[qk]\.'),
     'norms of queries and keys'),
    (re.compile(r'patch_embed\.(?!proj\.)'),
     'more than a projection in its patch embedding'),
)
# Parts that a backbone does not need: (name, why it is ignored).
USELESS = (
    (re.compile(r'mask_token'), 'mask token of the pre-training'),
    (re.compile(r'decoder'), 'decoder of the pre-training'),
    (re.compile(r'.*bias_mask$'), 'mask of biases, which was applied'),
    (re.compile(r'(local_cls_norm|projectors?)\.'),
     'part of the pre-training'),
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
    """Encoder of a checkpoint, by MAE's names.

    Attributes:
        source: The file or URL, for messages.
        family: Name of the family, such as 'MAE or timm ViT'.
        tensors: The encoder's tensors. ``pos_embed`` has the rows of the
            patches alone, (1, N, C); those of the prefix tokens are in
            ``prefix_pos_embed``, (1, P, C), in the order of
            ``prefix_tokens``. ``dist_token`` has become ``reg_token``.
        grid: Tokens along the height and width of ``pos_embed``; None if
            there is none.
        position_rows: Rows that the file's position embedding had for prefix
            tokens.
        has_dist_token: Whether ``reg_token`` is a distillation token.
        ignored: What else the file holds -> why it is not used.
        config: The model's config.json, if the file has one.
        structure: What the tensors tell of the architecture: entries of
            ``arch`` of HPViT, 'layer_scale' (bool), 'norm' ('LN' or 'RMS'),
            and 'act' ('swiglu' or 'not gated').
        told: What anything else tells: entries of ``arch`` of HPViT.
    """
    source: str
    family: str
    tensors: Dict[str, Tensor]
    grid: Optional[Tuple[int, int]] = None
    position_rows: int = 0
    has_dist_token: bool = False
    ignored: Dict[str, str] = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    structure: dict = field(default_factory=dict)
    told: dict = field(default_factory=dict)

    @property
    def is_hpvit(self) -> bool:
        """Return whether the file holds an HPViT."""
        return self.family == HPVIT.name

    @property
    def embed_dims(self) -> int:
        return self.tensors['patch_embed.proj.weight'].shape[0]

    @property
    def in_channels(self) -> int:
        return self.tensors['patch_embed.proj.weight'].shape[1]

    @property
    def patch_size(self) -> Tuple[int, int]:
        return tuple(self.tensors['patch_embed.proj.weight'].shape[-2:])

    @property
    def num_layers(self) -> int:
        return 1 + max((int(name.split('.')[1]) for name in self.tensors
                        if name.startswith('blocks.')), default=-1)

    @property
    def feedforward_channels(self) -> Optional[int]:
        weight = self.tensors.get('blocks.0.mlp.fc2.weight')
        return None if weight is None else weight.shape[1]

    @property
    def num_heads(self) -> Optional[int]:
        """Number of heads, if the file tells.

        Of the tensors only norms of queries and learned rotary positions do.
        """
        if 'rotary.freqs' in self.tensors:
            return self.tensors['rotary.freqs'].shape[2]
        norm = self.tensors.get('blocks.0.attn.q_norm.weight')
        if norm is not None and len(norm) < self.embed_dims:
            return self.embed_dims // len(norm)
        return heads_of_config(self.config, self.embed_dims)

    @property
    def prefix_tokens(self) -> Dict[str, int]:
        """Number of each kind of prefix token, in their order."""
        return {name: self.tensors[name].shape[1]
                for name in ('cls_token', 'reg_token')
                if name in self.tensors}

    @property
    def size_name(self) -> str:
        """Common name of a ViT of this size, such as 'ViT-L'."""
        size = SIZES.get((self.embed_dims, self.num_layers))
        text = f'{self.num_layers} blocks of width {self.embed_dims}'
        return f'ViT-{size[0].upper()} ({text})' if size else f'ViT of {text}'


def read_plain(content: dict, source: str, prefix: Optional[str] = None,
               drop: Sequence[str] = (),
               grid: Optional[Tuple[int, int]] = None,
               img_size: Union[int, Sequence[int], None] = None) -> PlainViT:
    """Find the encoder of a ViT in the content of a checkpoint file.

    Args:
        content: Content of the file, as ``read_checkpoint`` returns it.
        source: Name of the file, for messages.
        prefix: What precedes the encoder's names, with its dot. Defaults to
            None: found by the name of the patch embedding.
        drop: Parts to leave out although they change what the blocks
            compute: 'relative_position', 'rotary_position'.
        grid: Grid of the position embedding, if it is known. Needed if it is
            not square, and the file does not tell it.
        img_size: Side of the pre-training images, or height and width:
            instead of ``grid``.

    Returns:
        The encoder, by MAE's names.

    Raises:
        UserError: If there is no encoder of a plain ViT, or one with parts
            that HPViT cannot represent.
    """
    drop = (drop, ) if isinstance(drop, str) else drop
    if not isinstance(drop, (list, tuple, set)) or not all(
            isinstance(name, str) for name in drop):
        raise UserError(f'drop must be a list of names, but it is {drop!r}.')
    unknown = [name for name in drop if name not in DROPPABLE]
    if unknown:
        raise UserError(f'drop has no entry {unknown[0]!r}: its entries are '
                        f'{", ".join(DROPPABLE)}.')
    tensors, outside = find_encoder(content, source, prefix)
    family = recognise(tensors)
    if family is None:
        raise UserError(
            f'{source} is of no family that can be loaded: it has a patch '
            f'embedding, but no blocks of a plain ViT '
            f'({shorten(list(tensors), 3)}).')
    shape = tuple(tensors[next(filter(ANCHOR.fullmatch, tensors))].shape)
    if len(shape) != 4:
        raise UserError(f'{source} embeds patches by a kernel of shape '
                        f'{shape}, and HPViT by one of four dimensions: it is '
                        'not a ViT of images.')
    if shape[2] != shape[3]:
        raise UserError(f'{source} has patches of {shape[2]} x {shape[3]} '
                        'pixels, and HPViT has square ones: use another '
                        'checkpoint.')
    if img_size and not grid:
        grid = grid_of_size(img_size, shape[2:])
    plain = PlainViT(source, family.name, {}, config=_config(content))
    check_config(plain.config, source)
    plain.ignored.update(dict.fromkeys(outside, 'not in the encoder'))
    named = {rename(name, family.renames): tensor
             for name, tensor in tensors.items()}
    renamed = fuse_mlp(fuse_qkv(_mask_biases(named)))
    if plain.is_hpvit:
        plain.tensors = renamed
        plain.structure = _structure(plain, named)
        own = _recorded(content)
        if own:
            plain.told = {name: own.arch[name] or HIDDEN[name]
                          for name in HIDDEN}
            plain.told['norm_cfg'] = dict(
                type='LN', eps=own.blocks[0].norm1.eps)
            plain.config = dict(num_attention_heads=own.arch['num_heads'])
        if 'pos_embed' in renamed:  # prefix tokens have no rows in it
            plain.grid = grid_of(renamed['pos_embed'].shape[1],
                                 own.pos_grid if own else grid)
        return plain
    architecture = timm_name(plain.config, content.get('arch'))
    tag = pretrained_cfg(plain.config).get('tag')
    if architecture and tag:  # as timm writes models
        architecture += f'.{tag}'
    _sort(renamed, plain, drop)
    split_position(plain, grid)
    if not plain.num_layers:
        raise UserError(f'{source} has no blocks of a plain ViT: use another '
                        'checkpoint.')
    plain.structure = _structure(plain, named)
    for norm in ('norm', 'fc_norm'):
        parts = [part for part in ('weight', 'bias')
                 if f'{norm}.{part}' in plain.tensors]
        if plain.structure['norm'] == 'LN' and len(parts) == 1:
            raise UserError(f'{source} has {norm}.{parts[0]} alone, half of a '
                            'norm: it is damaged, copy it again.')
    periods = renamed.get('rope_embed.periods')
    if periods is not None and periods.numel():
        heads, base = told_by_periods(periods, plain.embed_dims, source)
        plain.config = dict(plain.config, num_attention_heads=heads,
                            rope_theta=base)
    plain.told = hidden_flags(plain, architecture)
    return plain


def _mask_biases(tensors: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """Set the biases of keys to zero where DINOv3 masks them."""
    found = dict(tensors)
    for name in tensors:
        bias = found.get(name.replace('bias_mask', 'bias'))
        if name.endswith('.qkv.bias_mask') and bias is not None:
            q, k, v = bias.chunk(3)
            found[name.replace('bias_mask', 'bias')] = torch.cat(
                [q, torch.zeros_like(k), v])
    return found


def _recorded(content: dict) -> Optional['HPViT']:
    """Return the backbone that wrote an HPViT's file, without values."""
    from hpvit_mm.models import HPViT
    from .convert import own_record
    backbone = own_record(content).get('backbone')
    if not backbone:
        return None
    try:
        with torch.device('meta'):
            return HPViT(**backbone)
    except TypeError as error:
        raise UserError('the record of its backbone is of another version '
                        f'({error}): convert it by that one.') from error


def _structure(plain: PlainViT, named: Dict[str, Tensor]) -> dict:
    """Return what the tensors tell of the architecture.

    ``named`` are they before queries, keys and values were concatenated.
    """
    tensors = plain.tensors
    prefix = plain.prefix_tokens

    def has(end: str) -> bool:
        return any(name.endswith(end) for name in tensors)

    fc1, fc2 = (tensors.get(f'blocks.0.mlp.{name}.weight')
                for name in ('fc1', 'fc2'))
    gated = fc1 is not None and fc2 is not None and \
        fc1.shape[0] == 2 * fc2.shape[1]
    # of transformers' DINOv3, BEiT, EVA and DINOv3
    partial = any(re.search(r'attn\.(q_bias|q(uery)?\.bias|qkv\.bias_mask)$',
                            name) for name in named) and not any(
        re.search(r'attn\.(k_bias|k(ey)?\.bias)$', name) for name in named)
    return dict(
        embed_dims=plain.embed_dims, num_layers=plain.num_layers,
        feedforward_channels=plain.feedforward_channels,
        patch_size=plain.patch_size[0], abs_pos='pos_embed' in tensors,
        qkv_bias='qv' if partial else has('.attn.qkv.bias'),
        with_cls_token='cls_token' in prefix,
        num_registers=prefix.get('reg_token', 0),
        layer_scale=has('.ls1.gamma'), pre_norm=has('norm_pre.weight'),
        bias=has('.mlp.fc1.bias'), attn_norm=has('.attn.norm.weight'),
        mlp_norm=has('.mlp.norm.weight'),
        qk_norm=has('.attn.q_norm.weight'),
        patch_norm=has('norm_patches.weight'),
        norm='LN' if has('.norm1.bias') else 'RMS',
        act='swiglu' if gated else 'not gated')


def find_encoder(content: dict, source: str, prefix: Optional[str] = None
                 ) -> Tuple[Dict[str, Tensor], List[str]]:
    """Return the encoder's tensors without prefix, and the other names.

    Raises:
        UserError: If there is no patch embedding, or more than one.
    """
    tensors = flatten(content)
    # conv1 of CLIP, but not that of a convolutional network
    anchors = [match[1] for match in map(ANCHOR.fullmatch, tensors)
               if match and not (match[0].endswith('conv1.weight') and not any(
                   name.startswith(f'{match[1]}transformer.resblocks.')
                   for name in tensors))]
    if prefix is not None:
        anchors = [one for one in anchors if one == prefix]
    if not anchors:
        where = f' behind the prefix {prefix!r}' if prefix else ''
        raise UserError(
            f'{source} is of no family that can be loaded: there is no patch '
            f'embedding of a plain ViT{where} among its tensors '
            f'({shorten(list(tensors), 3) or _no_tensors(content)}).')
    if len(anchors) > 1 and 'backbone.' in anchors:
        anchors = ['backbone.']
    if len(anchors) > 1:
        raise UserError(
            f'{source} holds {len(anchors)} encoders ({shorten(anchors, 3)}): '
            'say which one by prefix=... in init_cfg (--prefix).')
    start = anchors[0]
    inside = {name[len(start):]: tensor for name, tensor in tensors.items()
              if name.startswith(start)}
    return inside, [n for n in tensors if not n.startswith(start)]


def flatten(content: dict) -> Dict[str, Tensor]:
    """Return the tensors of a file, out of the entries of a training."""
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
        isinstance(value, Tensor) and value.ndim
        or isinstance(value, dict) and name in ENTRIES
        for name, value in entry.items())


def _no_tensors(content: dict) -> str:
    def inside(entry: object) -> bool:
        return isinstance(entry, Tensor) or isinstance(
            entry, dict) and any(map(inside, entry.values()))

    others = [str(key) for key, entry in content.items() if inside(entry)]
    return 'it has no tensors' + (
        f' but in its entries {shorten(others, 3)}: save one of them alone'
        if others else '')


def _config(content: dict) -> dict:
    config = content.get('config')
    if not isinstance(config, dict):
        return {}
    # of transformers' whole CLIP and SigLIP; FLAVA; Depth Anything; TrOCR
    for name in ('vision_config', 'image_config', 'backbone_config',
                 'encoder'):
        inner = config.get(name)
        if isinstance(inner, dict):
            return {'model_type': config.get('model_type'), **inner}
    return config


def _sort(tensors: Dict[str, Tensor], plain: PlainViT,
          drop: Sequence[str]) -> None:
    """Sort tensors into those of the encoder, and ignored ones."""
    dropped = {kind: [] for kind in DROPPABLE}
    for name, tensor in tensors.items():
        kind = next((kind for kind, pattern in DROPPABLE.items()
                     if pattern.match(name)), None)
        useless = next((why for pattern, why in USELESS
                        if pattern.match(name)), None)
        for pattern, what in UNSUPPORTED:
            if pattern.match(name):
                raise _unsupported(plain.source, f'{what} ({name})')
        if ENCODER.match(name):
            matrix = name.endswith(('qkv.weight', 'attn.proj.weight',
                                    'fc1.weight', 'fc2.weight'))
            if tensor.ndim < 1 + matrix or tensor.layout != torch.strided:
                raise UserError(f'{plain.source} holds {name} with the shape '
                                f'{tuple(tensor.shape)} or without values: it '
                                'is damaged, copy it again.')
            if tensor.dtype not in FLOATS:
                raise UserError(
                    f'{plain.source} holds {name} as '
                    f'{str(tensor.dtype)[6:]}: save it in float32, float16 '
                    'or bfloat16.')
            if tensor.numel():
                plain.tensors[name] = tensor
            elif name != 'reg_token':  # transformers keeps 0 registers
                raise UserError(f'{plain.source} holds {name} without '
                                'values: it is damaged, copy it again.')
        elif ROTARY_TABLE.match(name):
            plain.ignored[name] = 'table of rotary positions, computed anew'
        elif kind:
            dropped[kind].append(name)
        elif useless:
            plain.ignored[name] = useless
        elif re.match(r'(blocks|(fc_)?norm(_pre|_patches)?)\.', name):
            raise UserError(
                f'{plain.source} has a part that HPViT does not know, {name}: '
                'it is not (only) a plain ViT.')
        else:
            plain.ignored[name] = 'unknown, outside of the blocks'
    for kind, names in dropped.items():
        what = kind.replace('_', ' ')
        if names and kind not in drop:
            raise UserError(
                f'{plain.source} has {what}s ({shorten(names, 3)}), which '
                f'HPViT cannot represent: {remedy(kind)}.')
        plain.ignored.update(dict.fromkeys(
            names, f'{what}, dropped as you allowed'))


def remedy(kind: str) -> str:
    """Return how to load a file without its relative or rotary positions."""
    return ('to load it without its positions, which changes what the blocks '
            f"compute, set drop=['{kind}'] in init_cfg (--drop {kind})")


def _unsupported(source: str, what: str) -> UserError:
    return UserError(f'{source} has {what}, which HPViT cannot represent: use '
                     'a checkpoint of a plain ViT without.')
