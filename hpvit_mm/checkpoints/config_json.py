"""Read the config.json of a model's folder, of transformers or timm.

Those of transformers have sizes, activation and eps; those of timm the name
of the architecture, arguments that differ from it (``model_args``), and what
the weights are (``pretrained_cfg``).
"""
import math
import re
from typing import Any, Optional, Tuple

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import SIZES

# Arguments of timm's models that the tensors show, or that change nothing.
TIMM_ARGUMENTS = {
    'img_size', 'patch_size', 'in_chans', 'num_classes', 'global_pool',
    'embed_dim', 'depth', 'num_heads', 'mlp_ratio', 'qkv_bias',
    'init_values', 'class_token', 'reg_tokens', 'no_embed_class', 'pre_norm',
    'final_norm', 'fc_norm', 'dynamic_img_size', 'dynamic_img_pad',
    'strict_img_size', 'drop_rate', 'pos_drop_rate', 'patch_drop_rate',
    'proj_drop_rate', 'attn_drop_rate', 'drop_path_rate', 'weight_init'}
# timm's names of plain ViTs
TIMM_NAME = re.compile(
    r'((vit|deit3?|beit(v2|3)?|eva(02)?|aimv2|samvit)_\w*patch\d+\w*'
    r'|flexivit_\w+|test_vit\d?)(\.\w+)?')
# hidden_act of transformers
HF_ACTIVATIONS = dict(gelu='gelu', gelu_python='gelu',
                      quick_gelu='quick_gelu', silu='swiglu', swish='swiglu',
                      gelu_pytorch_tanh='gelu_tanh', gelu_new='gelu_tanh',
                      gelu_fast='gelu_tanh', gelu_python_tanh='gelu_tanh',
                      gelu_accurate='gelu_tanh')
# model_type of transformers that were compared with HPViT. Many others have a
# plain ViT's tensors and compute something else (YOLOS, OWL-ViT, ViLT, ...).
HF_PLAIN = re.compile(
    r'(vit|vit_msn|vit_mae|deit|ijepa|beit|dpt|depth_anything|flava|git'
    r'|dinov2|dinov2_with_registers|dinov3_vit|clip|altclip|chinese_clip'
    r'|clipseg|metaclip_2|kosmos[-_]2|siglip|siglip2|aimv2|idefics\d?|smolvlm'
    r')(_vision|_image)?(_model)?|timm_wrapper')
# what a class assumes where its config.json has no hidden_act and no eps
HF_DEFAULTS = (
    (re.compile(r'siglip|idefics\d|smolvlm'), ('gelu_pytorch_tanh', 1e-6)),
    (re.compile(r'idefics'), ('gelu', 1e-5)),
    (re.compile(r'dinov2|vit_msn'), ('gelu', 1e-6)),
    (re.compile(r'dinov3'), ('gelu', 1e-5)),
    (re.compile(r'vit|deit|ijepa|beit|dpt|flava'), ('gelu', 1e-12)),
    (re.compile(r'(alt|chinese_|meta)?clip|git|kosmos'), ('quick_gelu', 1e-5)))
# entries of config.json that are read: what they have to be
NUMBERS = dict(num_attention_heads=int, layer_norm_eps=float,
               rms_norm_eps=float, rope_theta=float)
TIMM_NUMBERS = dict(num_heads=int)


def check_config(config: dict, source: str) -> None:
    """Refuse a config.json that is damaged, or of another kind of model.

    Raises:
        UserError: Names the entry, the model, or the activation.
    """
    for entries, kinds in ((config, NUMBERS),
                           (timm_arguments(config), TIMM_NUMBERS)):
        for name in kinds.keys() & entries.keys():
            value, kind = entries[name], kinds[name]
            if value is not None and not (
                    type(value) in (int, kind) and 0 < value < math.inf):
                raise UserError(
                    f'config.json of {source} has {name}={value!r}, which is '
                    'not a positive number: copy the folder again.')
    unknown = timm_arguments(config).keys() - TIMM_ARGUMENTS
    if unknown:
        name = min(unknown)
        raise UserError(
            f'config.json of {source} has model_args.{name}='
            f'{timm_arguments(config)[name]!r}, which no tensor shows: set it '
            'in arch, a dict, and load the file of weights alone.')
    kind = str(config.get('model_type') or 'vit')
    if not HF_PLAIN.fullmatch(kind):
        raise UserError(
            f'{source} is a model of transformers of the type {kind}, which '
            'was not compared with HPViT and may compute something else: if '
            'it is a plain ViT, name its file of weights instead of the '
            'folder, and set arch.')
    gated = config.get('use_gated_mlp') or kind.startswith('aimv2')
    act = act_and_eps(config)[0] or 'silu'  # of AIMv2
    if gated and HF_ACTIVATIONS.get(str(act)) != 'swiglu':
        raise UserError(
            f'{source} has a gated MLP with the activation {act}, which '
            'HPViT cannot represent: use another checkpoint.')


def timm_name(config: dict, arch: Any = None) -> str:
    """Return timm's name of the architecture, '' if there is none.

    Args:
        config: The model's config.json, with ``architecture``.
        arch: The entry of that name of a training's file, which may be of
            another project. Defaults to None.
    """
    name = config.get('architecture')
    if isinstance(name, str):
        return name
    name = str(arch).rpartition('/')[2]  # of hf-hub:timm/NAME
    return name if TIMM_NAME.fullmatch(name) else ''


def timm_arguments(config: dict) -> dict:
    """Return the arguments of timm's model in a config.json."""
    arguments = config.get('model_args')
    return arguments if isinstance(arguments, dict) else {}


def heads_of_config(config: dict, embed_dims: int) -> Optional[int]:
    """Return the number of heads that a config.json tells."""
    arguments = timm_arguments(config)
    found = config.get('num_attention_heads') or arguments.get('num_heads')
    name = timm_name(config)
    if found or 'embed_dim' in arguments or not re.match(
            '(vit|deit|beit|eva|aimv2)', name):
        return found
    size = re.search('tiny|small|base|large', name)
    if size and embed_dims != SIZES[size[0]][0]:
        return None  # another network than the name tells
    # of timm 1.0.31
    if embed_dims in (1152, 1280, 1408, 1664, 1792) and 'plus' not in name \
            or re.search('giantopt|gigantic|base_patch16_gap', name):
        return 16
    if not re.search('wee|tiny|little|small|medium|betwixt|base|large|150m'
                     '|300m|plus|giant|aimv2|7b', name):
        return None
    return embed_dims // (128 if re.search('aimv2|7b', name) else 64)


def pretrained_cfg(config: dict) -> dict:
    """Return timm's description of the weights in a config.json."""
    found = config.get('pretrained_cfg')
    return found if isinstance(found, dict) else {}


def act_and_eps(config: dict) -> Tuple[Optional[str], Optional[float]]:
    """Return the activation and eps of a config.json, or of its class."""
    kind = str(config.get('model_type'))
    act, eps = next((defaults for pattern, defaults in HF_DEFAULTS
                     if pattern.match(kind)), (None, None))
    return config.get('hidden_act') or act, config.get(
        'layer_norm_eps') or config.get('rms_norm_eps') or eps
