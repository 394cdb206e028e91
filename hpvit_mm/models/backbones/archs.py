"""Named architectures of plain ViTs: the flags of each family."""
import difflib
import re
from numbers import Integral
from typing import Union

from hpvit_mm.errors import UserError
from ..layers.mlp import ACTIVATIONS
from ..layers.rotary import COORDS, ORDERS, STYLES

# Name -> width, blocks, heads.
SIZES = {'tiny': (192, 12, 3), 'small': (384, 12, 6), 'base': (768, 12, 12),
         'large': (1024, 24, 16), 'huge': (1280, 32, 16)}
# Meta's names of sizes: 'dinov3_vits16'
SHORT = dict(vitt='tiny', vits='small', vitb='base', vitl='large',
             vith='huge', vitg='giant')
REQUIRED = ('embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')
# What an architecture may tell besides. The first ones are the defaults of
# HPViT's arguments of the same names.
ARGUMENTS = dict(
    img_size=224, patch_size=16, qkv_bias=True,
    norm_cfg=dict(type='LN', eps=1e-6), layer_scale_init_value=0.,
    pre_norm=False, with_cls_token=False, num_registers=0)
PARTS = dict(act=None, bias=True, attn_norm=False, mlp_norm=False,
             post_norm=False, qk_norm=False, patch_norm=False, abs_pos=True,
             rotary=None)
ROTARY = dict(coords='centre', base=100., grid=None, offset=0., order='yx',
              style='half', learned=False)
# RoPE-ViT's learned positions, 'mixed'
ROPE_MIXED = dict(coords='index', base=10., style='interleaved', learned=True)

LN5 = dict(type='LN', eps=1e-5)
CLS = dict(with_cls_token=True)
DINOV2 = dict(CLS, patch_size=14, img_size=518, layer_scale_init_value=1e-5)
DINOV3 = dict(CLS, num_registers=4, norm_cfg=LN5, qkv_bias='qv',
              layer_scale_init_value=1e-5, abs_pos=False,
              rotary=dict(coords='centre', base=100.))
CLIP = dict(CLS, norm_cfg=LN5, pre_norm=True)
SIGLIP = dict(act='gelu_tanh')
EVA02 = dict(CLS, patch_size=14, qkv_bias='qv', act='swiglu', rotary=dict(
    coords='index', base=10000., grid=16, style='interleaved'))
PE = dict(CLS, norm_cfg=LN5, pre_norm=True, act='gelu', rotary=dict(
    coords='index', base=10000., offset=1., order='xy', style='interleaved'))
AIMV2 = dict(patch_size=14, qkv_bias=False, bias=False, act='swiglu',
             patch_norm=True, norm_cfg=dict(type='hpvit_mm.RMSNorm', eps=1e-5))


def _sizes(flags: dict, **sizes: tuple) -> dict:
    """Size -> architecture: width, blocks, heads[, MLP width[, flags]]."""
    archs = {}
    for size, (dims, layers, heads, *more) in sizes.items():
        hidden = more[0] if more else 4 * dims
        archs[size.replace('_', '-')] = dict(
            embed_dims=dims, num_layers=layers, num_heads=heads,
            feedforward_channels=hidden, **dict(flags, **dict(*more[1:])))
    return archs


def _pick(flags: dict, *names: str, **more: dict) -> dict:
    """Architectures of common sizes, each with flags of its own."""
    sizes = {name: (*SIZES[name], 4 * SIZES[name][0], more.get(name, {}))
             for name in (*names, *more)}
    return _sizes(flags, **sizes)


P14, P16, P32 = (dict(patch_size=size) for size in (14, 16, 32))
GIANT = dict(act='swiglu')
LN6 = ARGUMENTS['norm_cfg']
# Family -> size -> architecture. Sources: the families' own code, and timm
# 1.0.31 and transformers 5.24.0, with which the tests compare them.
FAMILIES = {
    # facebookresearch/mae, deit, dino, ijepa; google-research's ViT
    'mae': _pick(CLS, 'base', 'large', huge=P14),
    'deit': _pick(CLS, 'tiny', 'small', 'base'),
    'deit3': _pick(dict(CLS, layer_scale_init_value=1e-6), 'small', 'base',
                   'large', huge=P14),
    'augreg': _pick(CLS, 'tiny', 'small', 'base', 'large'),
    'dino': _pick(CLS, 'small', 'base'),
    # facebookresearch/moco-v3, wangsr126/MAE-Lite: narrow heads
    'mocov3': _sizes(CLS, small=(384, 12, 12), base=SIZES['base']),
    'mae-lite': _sizes(CLS, tiny=(192, 12, 12)),
    'ijepa': _sizes({}, huge=(*SIZES['huge'], 5120, P14),
                    huge_448=(*SIZES['huge'], 5120, dict(img_size=448)),
                    giant=(1408, 40, 16, 6144)),
    # facebookresearch/dinov2, with four registers in 'dinov2-reg'
    'dinov2': _sizes(DINOV2, small=SIZES['small'], base=SIZES['base'],
                     large=SIZES['large'], giant=(1536, 40, 24, 4096, GIANT)),
    'dinov2-reg': _sizes(
        dict(DINOV2, num_registers=4), small=SIZES['small'],
        base=SIZES['base'], large=SIZES['large'],
        giant=(1536, 40, 24, 4096, GIANT)),
    # facebookresearch/dinov3
    'dinov3': _sizes(
        DINOV3, small=SIZES['small'], small_plus=(384, 12, 6, 1536, GIANT),
        base=SIZES['base'], large=SIZES['large'],
        huge_plus=(1280, 32, 20, 5120, GIANT),
        **{'7b': (4096, 40, 32, 8192, dict(GIANT, qkv_bias=False))}),
    # robbyant/lingbot-vision
    'lingbot': _sizes(
        DINOV3, small=SIZES['small'], base=SIZES['base'],
        large=SIZES['large'],
        giant=(1536, 40, 24, 4096, dict(GIANT, qkv_bias=False))),
    # openai/CLIP; its exports of DFN and MetaCLIP have QuickGELU too
    'clip': _sizes(
        dict(CLIP, act='quick_gelu'), base=SIZES['base'],
        base_p32=(*SIZES['base'], 3072, P32),
        large=(*SIZES['large'], 4096, P14),
        large_336=(*SIZES['large'], 4096, dict(P14, img_size=336)),
        huge=(*SIZES['huge'], 5120, P14)),
    # mlfoundations/open_clip (LAION, DataComp)
    'openclip': _sizes(
        dict(CLIP, act='gelu'), base=SIZES['base'],
        base_p32=(*SIZES['base'], 3072, P32),
        large=(*SIZES['large'], 4096, P14),
        huge=(*SIZES['huge'], 5120, P14), giant=(1408, 40, 16, 6144, P14),
        gigantic=(1664, 48, 16, 8192, P14)),
    # google-research/big_vision
    **{name: _sizes(
        dict(SIGLIP, img_size=256), base=(*SIZES['base'], 3072),
        base_p32=(*SIZES['base'], 3072, P32), large=(*SIZES['large'], 4096),
        so400m=(1152, 27, 16, 4304),
        so400m_p14=(1152, 27, 16, 4304, dict(P14, img_size=224)),
        giant=(1536, 40, 16, 6144)) for name in ('siglip', 'siglip2')},
    # baaivision/EVA
    'eva': _sizes(dict(CLS, qkv_bias='qv'), giant=(1408, 40, 16, 6144, P14)),
    'eva02': _sizes(
        EVA02, tiny=(*SIZES['tiny'], 512), small=(*SIZES['small'], 1024),
        base=(*SIZES['base'], 2048, dict(mlp_norm=True)),
        large=(*SIZES['large'], 2730, dict(mlp_norm=True))),
    'eva02-clip': _sizes(
        dict(EVA02, mlp_norm=True, attn_norm=True),
        base=(*SIZES['base'], 2048, P16), large=(*SIZES['large'], 2730)),
    # facebookresearch/perception_models
    'pe-core': _sizes(
        PE, tiny=(*SIZES['tiny'], 768, dict(img_size=384)),
        small=(*SIZES['small'], 1536, dict(img_size=384)),
        base=SIZES['base'],
        large=(*SIZES['large'], 4096, dict(P14, img_size=336)),
        giant=(1536, 50, 16, 8960, dict(
            P14, img_size=448, with_cls_token=False,
            rotary=dict(PE['rotary'], offset=0.)))),
    'pe-spatial': _sizes(
        dict(PE, img_size=512), tiny=(*SIZES['tiny'], 768),
        small=(*SIZES['small'], 1536), base=SIZES['base'],
        large=(*SIZES['large'], 4096, dict(P14, img_size=448)),
        giant=(1536, 50, 16, 8960, dict(
            P14, img_size=448, with_cls_token=False,
            layer_scale_init_value=0.1,
            rotary=dict(PE['rotary'], offset=0.)))),
    'pe-lang': _sizes(
        dict(PE, img_size=448, layer_scale_init_value=0.1, **P14),
        large=(1024, 23, 16), giant=(1536, 47, 16, 8960, dict(
            with_cls_token=False, rotary=dict(PE['rotary'], offset=0.)))),
    # apple/ml-aim
    'aimv2': _sizes(AIMV2, large=(1024, 24, 8, 2816),
                    huge=(1536, 24, 12, 4096), **{
                        '1b': (2048, 24, 16, 5632),
                        '3b': (3072, 24, 24, 8192)}),
}
# The plain names have no prefix tokens: MAE's recipe of fine-tuning.
ARCHS = {
    **_pick({}, *SIZES),
    **{f'{family}-{size}': arch for family, sizes in FAMILIES.items()
       for size, arch in sizes.items()},
}


def resolve_arch(arch: Union[str, dict]) -> dict:
    """Return an architecture with all its flags.

    Args:
        arch: A name of ``ARCHS``, or a dict with the entries of ``REQUIRED``
            and any of ``ARGUMENTS`` and ``PARTS``; with ``base`` those of
            that name are taken where the dict has none.

    Raises:
        UserError: If there is no such name or entry, or a value that does
            not fit.
    """
    if isinstance(arch, str):
        return dict(PARTS, **ARCHS[_check_name(arch)])
    if not isinstance(arch, dict):
        raise UserError(f'arch must be a name or a dict, but it is {arch!r}.')
    own = dict(arch)
    if 'base' in own:
        own = dict(ARCHS[_check_name(own.pop('base'))], **own)
    missing = [name for name in REQUIRED if name not in own]
    allowed = (*REQUIRED, *ARGUMENTS, *PARTS)
    unknown = [name for name in own if name not in allowed]
    if missing or unknown:
        what = f'lacks {missing[0]}' if missing else \
            f'has no entry {unknown[0]!r}'
        raise UserError(
            f'arch {what}: its entries are {", ".join(REQUIRED)} and, where '
            f'they differ from the defaults, base, {", ".join(allowed[4:])}.')
    for name in REQUIRED:
        if not isinstance(own[name], Integral) or own[name] < 1:
            raise UserError(f'{name} of arch must be a whole number of at '
                            f'least 1, but it is {own[name]!r}.')
    if own['embed_dims'] % own['num_heads'] or own['embed_dims'] % 4:
        raise UserError(
            f'embed_dims={own["embed_dims"]} of arch must be a multiple of '
            f'num_heads={own["num_heads"]} and of 4.')
    own = dict(PARTS, **own)
    if own['act'] not in (None, *ACTIVATIONS):
        raise UserError(f'act of arch must be one of {tuple(ACTIVATIONS)}, '
                        f'but it is {own["act"]!r}.')
    for name, default in PARTS.items():
        if isinstance(default, bool) and not isinstance(own[name], bool):
            raise UserError(f'{name} of arch must be True or False, but it '
                            f'is {own[name]!r}.')
    if own['rotary'] is not None:
        _check_rotary(own['rotary'], own['embed_dims'] // own['num_heads'])
    return own


def _check_name(name: str) -> str:
    if not isinstance(name, str):
        raise UserError(f'arch must be a name, but it is {name!r}.')
    if name not in ARCHS:
        words = set(re.split(r'[-_./]', name.lower()))  # timm's names, too
        words |= {SHORT[word[:4]] for word in words if word[:4] in SHORT}
        if 'clip' in words and 'openai' not in words:
            words.add('openclip')
        if words & {'reg4', 'registers'}:
            words.add('reg')
        near = [one for one in ARCHS if '-' in one
                and set(one.split('-')) <= words] or \
            difflib.get_close_matches(name.lower(), ARCHS, 4, 0.5)
        families = (*SIZES, *(f'{family}-*' for family in FAMILIES))
        raise UserError(
            f'there is no arch {name!r}: '
            + (f'the nearest ones are {", ".join(map(repr, near))}; ' if near
               else '') + f'there are {", ".join(families)}.')
    return name


def _check_rotary(rotary: dict, head_dims: int) -> None:
    if not isinstance(rotary, dict):
        raise UserError(f'rotary of arch must be a dict, but it is '
                        f'{rotary!r}.')
    unknown = set(rotary) - set(ROTARY)
    if unknown:
        raise UserError(f'rotary of arch has no entry {unknown.pop()!r}: its '
                        f'entries are {", ".join(ROTARY)}.')
    for name, choices in (('coords', COORDS), ('order', ORDERS),
                          ('style', STYLES)):
        if rotary.get(name, ROTARY[name]) not in choices:
            raise UserError(f'{name} of rotary must be one of {choices}, but '
                            f'it is {rotary[name]!r}.')
    base = rotary.get('base', 1.)
    if not isinstance(base, (int, float)) or not base > 0:
        raise UserError(f'base of rotary must be a positive number, but it '
                        f'is {base!r}.')
    if rotary.get('learned') and rotary.get('order', 'yx') != 'yx':
        raise UserError("order of rotary must be 'yx' with learned=True: "
                        'learned frequencies have a direction of their own.')
    if head_dims % 4:
        raise UserError(f'rotary positions need heads of a multiple of 4 '
                        f'channels, but those of arch have {head_dims}.')
