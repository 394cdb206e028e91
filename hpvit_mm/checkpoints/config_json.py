"""What is read from the config.json of a model's folder.

Of transformers: sizes, activation, eps. Of timm: the architecture, arguments
that differ from it (``model_args``), and the weights (``pretrained_cfg``).
"""
import re
from typing import Optional, Tuple

from hpvit_mm.errors import UserError

# Arguments of timm's models that the tensors show, or that change nothing.
TIMM_ARGUMENTS = {
    'img_size', 'patch_size', 'in_chans', 'num_classes', 'global_pool',
    'embed_dim', 'depth', 'num_heads', 'mlp_ratio', 'qkv_bias',
    'init_values', 'class_token', 'reg_tokens', 'no_embed_class', 'pre_norm',
    'final_norm', 'fc_norm', 'dynamic_img_size', 'dynamic_img_pad',
    'strict_img_size', 'drop_rate', 'pos_drop_rate', 'patch_drop_rate',
    'proj_drop_rate', 'attn_drop_rate', 'drop_path_rate', 'weight_init'}
# hidden_act of transformers
HF_ACTIVATIONS = dict(gelu='gelu', quick_gelu='quick_gelu', silu='swiglu',
                      gelu_pytorch_tanh='gelu_tanh', gelu_new='gelu_tanh',
                      gelu_fast='gelu_tanh')
# model_type of transformers whose tensors look like a plain ViT's, and that
# compute something else
HF_OTHERS = re.compile(r'(owlvit|owlv2|vitpose|mlcd|yolos|vilt|bridgetower'
                       r'|audio-spectrogram-transformer)\w*')
# what a class assumes where its config.json has no hidden_act and no eps
HF_DEFAULTS = (
    (re.compile(r'siglip|idefics|smolvlm'), ('gelu_pytorch_tanh', 1e-6)),
    (re.compile(r'(alt|chinese_|meta|x_)?clip|git'), ('quick_gelu', 1e-5)))
# entries of config.json that are read: what they have to be
NUMBERS = dict(num_attention_heads=int, layer_norm_eps=float,
               rms_norm_eps=float, rope_theta=float)


def check_config(config: dict, source: str) -> None:
    """Refuse a config.json that is damaged, or of another kind of model.

    Raises:
        UserError: Names the entry, the model, or the activation.
    """
    for entries in (config, timm_arguments(config)):
        for name in NUMBERS.keys() & entries.keys():
            value, kind = entries[name], NUMBERS[name]
            if value is not None and not (
                    type(value) in (int, kind) and value > 0):
                raise UserError(
                    f'config.json of {source} has {name}={value!r}, which is '
                    'no positive number: copy the folder again.')
    unknown = timm_arguments(config).keys() - TIMM_ARGUMENTS
    if unknown:
        name = min(unknown)
        raise UserError(
            f'config.json of {source} has model_args.{name}='
            f'{timm_arguments(config)[name]!r}, which no tensor shows: set it '
            'in arch, a dict, and load the file of weights alone.')
    kind = str(config.get('model_type'))
    if HF_OTHERS.fullmatch(kind):
        raise UserError(
            f'{source} is of the model_type {kind}, which computes something '
            'else than a plain ViT: use another checkpoint.')
    gated = config.get('use_gated_mlp') or kind.startswith('aimv2')
    if gated and config.get('hidden_act', 'silu') != 'silu':
        raise UserError(
            f'{source} has a gated MLP with the activation '
            f'{config["hidden_act"]}, which HPViT cannot represent: use '
            'another checkpoint.')


def timm_arguments(config: dict) -> dict:
    """Return the arguments of timm's model in a config.json."""
    arguments = config.get('model_args')
    return arguments if isinstance(arguments, dict) else {}


def heads(config: dict, embed_dims: int) -> Optional[int]:
    """Return the number of heads that a config.json tells."""
    found = config.get('num_attention_heads') or timm_arguments(
        config).get('num_heads')
    # timm's own have heads of 64; others of these widths have 12
    if not found and re.search('tiny|small',
                               str(config.get('architecture'))):
        found = embed_dims // 64
    return found or None


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
