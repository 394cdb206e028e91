"""The architecture of a plain ViT: what its tensors tell, and what not.

Tensors tell the sizes and the parts of a network. They do not tell its heads,
the eps of its norms, most activations, rotary positions, and where the norms
of a block are. A config.json or the names of a family tell those; where
neither does, the user has to, by ``arch``.
"""
import math
import re
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import (ARCHS, ARGUMENTS, DINOV3, EVA02,
                                             LN5, PARTS, PE, ROPE_MIXED,
                                             ROTARY, SIZES)
from .config_json import HF_ACTIVATIONS, act_and_eps
from .positions import size_of

if TYPE_CHECKING:
    from .plain import PlainViT

# What no tensor tells, with the values of a ViT (arXiv 2010.11929).
HIDDEN = dict(act='gelu', rotary=None, post_norm=False)
DINOV3_POSITIONS, EVA02_POSITIONS = DINOV3['rotary'], EVA02['rotary']
PE_POSITIONS = PE['rotary']
# timm's names of architectures (1.0.31), the first that matches: what differs
# from HIDDEN, and the eps of the norms where it is not 1e-6; a text is the
# reason why it cannot be loaded.
TIMM = (
    ('sapiens2', 'keys and values that heads share'),
    ('xp_|18x2', 'parallel blocks'),
    ('_(dlittle|dwee|dpwee)_', 'differential attention'),
    ('samvit', 'relative positions, in windows'),
    ('radio', 'a position embedding that is cropped'),
    ('dinov3|eupe|lingbot', dict(rotary=DINOV3_POSITIONS, norm_cfg=LN5)),
    ('rpn|eva02_enormous', dict(post_norm=True)),
    ('eva02', dict(rotary=EVA02_POSITIONS)),
    ('pe_.*gigantic', dict(rotary=dict(PE_POSITIONS, offset=0.),
                           norm_cfg=LN5)),
    ('pe_(core|lang|spatial)', dict(rotary=PE_POSITIONS, norm_cfg=LN5)),
    ('rope_reg', dict(rotary=EVA02_POSITIONS)),
    ('rope_mixed', dict(rotary=ROPE_MIXED)),
    ('rope', dict(rotary=dict(coords='index', base=100., order='xy',
                              style='interleaved'))),
    # fine-tuned by timm, with what it computes
    (r'_clip_\d.*\.openai_ft_', dict(norm_cfg=LN5)),
    (r'siglip.*_ft_', {}),
    # OpenAI's weights, trained with QuickGELU, where timm computes GELU
    (r'_clip_\d.*\.openai', dict(act=None, norm_cfg=LN5)),
    ('clip_quickgelu', dict(act='quick_gelu', norm_cfg=LN5)),
    ('base_patch32_siglip|large_patch16_siglip(_gap)?_512'
     '|(so400m|giantopt)_patch16_siglip', dict(act='gelu_tanh')),
    # timm computes GELU, but they were trained with its tanh approximation
    ('siglip', dict(act=None)),
    ('eva_giant', {}),
    ('_clip_|beit3', dict(norm_cfg=LN5)),
    ('aimv2', dict(norm_cfg=LN5)),
    ('qwen', 'rotary positions beside a position embedding'),
    ('', {}),
)


def told_by_periods(periods: Tensor, embed_dims: int,
                    source: str) -> Tuple[int, float]:
    """Return the heads and the rotary base that DINOv3's table tells.

    Args:
        periods: Of shape (head_dims / 4, ), ``base ** (j / (head_dims / 4))``
            (facebookresearch/dinov3).
        embed_dims: Width of the network.
        source: Name of the file, for messages.

    Raises:
        UserError: If it is another table.
    """
    periods, count = periods.double().flatten(), periods.numel()
    powers = torch.arange(count, dtype=periods.dtype) / count
    bases = [DINOV3_POSITIONS['base']]
    if count > 1:
        bases.append(float(periods[-1].clamp(min=0.)**(count / (count - 1))))
    # The tightest tolerance wins: tables are exact, or were rounded to
    # float16 or bfloat16 (2e-3), the base then told by the last entry (5e-3),
    # or were computed in bfloat16 (1e-2).
    found = [base for rtol in (1e-5, 2e-3, 5e-3, 1e-2) for base in bases
             if torch.allclose(base**powers, periods, rtol=rtol)]
    if not found or embed_dims % (4 * count):
        raise UserError(
            f'the table rope_embed.periods of {source} is not that of one '
            'base, which HPViT cannot represent: use another checkpoint.')
    return embed_dims // (4 * count), found[0]


def hidden_flags(plain: 'PlainViT', architecture: str) -> dict:
    """Return activation, rotary positions, post-norm and eps of the norms.

    They are known by timm's name of the architecture, config.json, or the
    names of the tensors. What none of these tells is omitted.

    Args:
        plain: The encoder.
        architecture: timm's name of it, '' if there is none.

    Raises:
        UserError: If it is one that HPViT cannot compute.
    """
    config, flags = plain.config, plain.structure
    act, eps = act_and_eps(config)
    if architecture:
        found = next(flags for pattern, flags in TIMM
                     if re.search(pattern, architecture))
        if isinstance(found, str):
            raise UserError(
                f'{plain.source} has the architecture {architecture}, with '
                f'{found}, which HPViT cannot represent: use another '
                'checkpoint.')
        told = dict(HIDDEN, **found)
    elif act:
        if str(act) not in HF_ACTIVATIONS:
            raise UserError(
                f'{plain.source} has the activation {act}, which HPViT '
                'cannot represent: use another checkpoint.')
        told = dict(HIDDEN, act=HF_ACTIVATIONS[act])
    else:
        told = _told_by_names(plain, flags)
    if plain.family in ('DINOv3', 'Hugging Face DINOv3'):
        told['rotary'] = dict(DINOV3_POSITIONS, base=config.get(
            'rope_theta') or DINOV3_POSITIONS['base'])
    if flags['act'] == 'swiglu':
        told['act'] = 'swiglu'
    elif told.get('act') == 'swiglu':
        raise UserError(f'{plain.source} has the activation SiLU without a '
                        'gate, which HPViT cannot represent: use another '
                        'checkpoint.')
    if eps:
        told['norm_cfg'] = dict(type='LN', eps=eps)
    return {name: value for name, value in told.items()
            if name != 'act' or value}


def _told_by_names(plain: 'PlainViT', flags: dict) -> dict:
    """Return what the names of the tensors tell."""
    if plain.family in ('DINOv3', 'Hugging Face DINOv3'):
        return dict(HIDDEN, rotary=DINOV3_POSITIONS, norm_cfg=LN5)
    if 'rotary.freqs' in plain.tensors:
        return dict(HIDDEN, rotary=ROPE_MIXED)
    names = plain.tensors.keys() | plain.ignored.keys()
    if plain.family == 'CLIP' and not flags['patch_norm'] and (
            'attn_pool.probe' in names or flags['layer_scale']
            or 'norm.weight' not in names):
        return dict(HIDDEN, norm_cfg=LN5, rotary=dict(
            PE_POSITIONS, offset=float(flags['with_cls_token'])))
    if plain.family == 'CLIP':
        return dict(rotary=None)  # OpenAI's or OpenCLIP's
    if flags['act'] == 'swiglu' and flags['abs_pos']:
        if flags['norm'] == 'RMS':
            return dict(HIDDEN, norm_cfg=LN5)  # AIMv2
        if flags['qkv_bias'] == 'qv' and not flags['layer_scale']:
            return dict(HIDDEN, rotary=EVA02_POSITIONS)
        if flags['layer_scale'] and flags['qkv_bias'] is True:
            return dict(HIDDEN)  # DINOv2-g
    if plain.family == 'DINOv2' and flags['abs_pos']:
        return dict(HIDDEN)
    if any(name.startswith('decoder_') for name in names):
        return dict(HIDDEN)  # MAE
    return {}


def same_rotary(one: Optional[dict], other: Optional[dict]) -> bool:
    """Return whether two configs of rotary positions mean the same."""
    if not one or not other:
        return one == other
    one, other = dict(ROTARY, **one), dict(ROTARY, **other)
    # a base may come from a table in bfloat16
    return math.isclose(one.pop('base'), other.pop('base'), rel_tol=5e-3) \
        and one == other


def differences(plain: 'PlainViT', arch: dict) -> Dict[str, Tuple]:
    """Return what differs between an encoder and an architecture.

    Args:
        plain: The encoder.
        arch: An architecture of ``ARCHS``, or a dict with the same entries.

    Returns:
        Name of a flag -> (of the file, of the architecture). A file may omit
        biases of queries, keys and values, and have another grid.
    """
    arch = dict(ARGUMENTS, **dict(PARTS, **arch))
    theirs = dict(plain.structure)
    ours = {name: arch.get(name) for name in theirs}
    ours.update(
        layer_scale=bool(arch['layer_scale_init_value']),
        norm='RMS' if 'RMS' in arch['norm_cfg']['type'] else 'LN',
        act='swiglu' if arch['act'] == 'swiglu' else 'not gated')
    if theirs['qkv_bias'] is False:
        theirs['qkv_bias'] = ours['qkv_bias']
    found = {name: (theirs[name], ours[name]) for name in theirs
             if theirs[name] != ours[name]}
    for name, value in plain.told.items():
        own = arch[name] or HIDDEN.get(name)
        same = same_rotary(value, own) if name == 'rotary' else \
            value['eps'] == own['eps'] if name == 'norm_cfg' else value == own
        if not same:
            found[name] = (value, own)
    return found


def needs_name(plain: 'PlainViT') -> bool:
    """Return whether loading asks for ``arch`` of a file that tells less.

    It may be rotary, CLIP or SigLIP.
    """
    pooling = any(name.startswith('attn_pool.') for name in plain.ignored)
    relative = any(why.startswith('relative position')
                   for why in plain.ignored.values())  # BEiT's
    return not (plain.structure['abs_pos'] or relative) \
        or plain.structure['pre_norm'] or pooling and not plain.prefix_tokens


def candidates(plain: 'PlainViT') -> List[str]:
    """Return the named architectures that an encoder may have.

    Those of its family come first, those that most others contain last.
    """
    return [name for name, arch in ARCHS.items()
            if '-' in name and not differences(plain, arch)]


def nearest(plain: 'PlainViT') -> Tuple[str, Dict[str, Tuple]]:
    """Return the named architecture with the fewest differences, and them."""
    found = {name: differences(plain, arch) for name, arch in ARCHS.items()
             if '-' in name}
    sizes = ('embed_dims', 'num_layers', 'rotary')
    name = min(found, key=lambda one: sum(
        4 if key in sizes else 1 for key in found[one]))
    return name, found[name]


def arch_of(plain: 'PlainViT') -> dict:
    """Return the architecture of an encoder, with what else is told.

    Heads that nothing tells are those of a plain size, or of 64 channels
    each.
    """
    flags = plain.structure
    arch = {name: flags[name] for name in (
        'embed_dims', 'num_layers', 'feedforward_channels', 'patch_size',
        'qkv_bias', 'with_cls_token', 'num_registers', 'pre_norm', 'bias',
        'attn_norm', 'mlp_norm', 'qk_norm', 'patch_norm', 'abs_pos')}
    arch['num_heads'] = heads_of(plain) or default_heads(
        plain.embed_dims, plain.num_layers)
    arch['layer_scale_init_value'] = 1e-5 if flags['layer_scale'] else 0.
    arch['norm_cfg'] = plain.told.get('norm_cfg', ARGUMENTS['norm_cfg'])
    if flags['norm'] == 'RMS':
        arch['norm_cfg'] = dict(type='hpvit_mm.RMSNorm',
                                eps=arch['norm_cfg']['eps'])
    if plain.grid:
        arch['img_size'] = size_of(plain.grid, flags['patch_size'])
    arch.update({name: plain.told[name] for name in HIDDEN
                 if name in plain.told})
    if flags['act'] == 'swiglu':
        arch['act'] = 'swiglu'
    return {name: value for name, value in arch.items()
            if name not in PARTS or value != PARTS[name] or name == 'act'}


def heads_of(plain: 'PlainViT') -> Optional[int]:
    """Return the number of heads, if the file or its family tells it."""
    heads = {plain.num_heads} if plain.num_heads else {
        ARCHS[name]['num_heads'] for name in candidates(plain)}
    return heads.pop() if len(heads) == 1 else None


def default_heads(embed_dims: int, num_layers: int = 0) -> int:
    """Return the usual number of heads of a ViT of this width."""
    for dims, layers, heads in SIZES.values():
        if embed_dims == dims and num_layers in (0, layers):
            return heads
    return embed_dims // 64 if embed_dims % 64 == 0 else 1
