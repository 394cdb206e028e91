"""Write a plain ViT as a model folder of transformers."""
import json
import math
import os
import shutil
from pathlib import Path
from typing import Dict, List, Tuple, Union

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import ARGUMENTS, ROTARY
from .architecture import default_heads
from .config_json import HF_ACTIVATIONS
from .families import HUGGING_FACE, fuse_qkv, rename, split_mlp, split_qkv
from .write import write_checkpoint

# No model of transformers that is written here has these.
NOWHERE = ('attn_norm', 'mlp_norm', 'qk_norm', 'post_norm')
# Those that resample their positions as a square grid.
SQUARE = ('beit', 'dinov2', 'dinov2_with_registers', 'clip_vision_model',
          'siglip_vision_model', 'aimv2_vision_model')
GATED = ('dinov3_vit', 'dinov2', 'dinov2_with_registers',
         'aimv2_vision_model')


def model_type(tensors: Dict[str, Tensor], arch: dict) -> str:
    """Return the model_type of the model that computes a network.

    Args:
        tensors: The network's tensors, by MAE's names.
        arch: Its architecture, with all flags.
    """
    if arch.get('rotary'):
        return 'dinov3_vit'
    if 'norm_patches.weight' in tensors:
        return 'aimv2_vision_model'
    if 'norm_pre.weight' in tensors:
        return 'clip_vision_model'
    if 'blocks.0.ls1.gamma' in tensors:
        if 'pos_embed' not in tensors or 'blocks.0.attn.q_bias' in tensors:
            return 'beit'
        return 'dinov2_with_registers' if 'reg_token' in tensors else 'dinov2'
    if 'dist_token' in tensors:
        return 'deit'
    if 'cls_token' in tensors:
        return 'vit'
    return 'siglip_vision_model' if arch.get('act') == 'gelu_tanh' else 'ijepa'


def for_transformers(tensors: Dict[str, Tensor], arch: dict, backbone: dict,
                     source: str) -> Tuple[Dict[str, Tensor], dict]:
    """Return the tensors and the config.json of a model of transformers.

    Args:
        tensors: The network's tensors, by MAE's names.
        arch: Its architecture, with all flags.
        backbone: Arguments of the backbone, where they are known.
        source: Name of the file, for messages.

    Raises:
        UserError: If no model of transformers computes this network.
    """
    kind = model_type(tensors, arch)
    target = HUGGING_FACE[kind]
    rotary = arch.get('rotary') and dict(ROTARY, **arch['rotary'])
    tensors = dict(tensors)
    bias = tensors.get('patch_embed.proj.bias')
    if kind == 'clip_vision_model' and bias is not None and not bias.any():
        del tensors['patch_embed.proj.bias']  # CLIP has none
    if kind != 'beit' and 'fc_norm.weight' in tensors:  # the maps have norm
        for part in ('weight', 'bias'):
            tensors.setdefault(f'norm.{part}', tensors.pop(f'fc_norm.{part}'))
    target.check(tensors, source, f'{target.model} of transformers')
    if kind != 'beit' and 'norm.weight' not in tensors:
        raise UserError(f'{source} has no last norm, which {target.model} of '
                        'transformers always has: use --to timm.')
    gated = arch.get('act') == 'swiglu'
    if gated and kind not in GATED:
        raise UserError(f'{source} has SwiGLU, which {target.model} of '
                        'transformers lacks: use --to timm.')
    biases = [f'blocks.0.{name}.bias' in tensors for name in (
        'attn.qkv', 'attn.proj')]
    if any(map(arch.get, NOWHERE)) or rotary and (
            arch['abs_pos'] or rotary['coords'] != 'centre'
            or rotary['learned']) or kind == 'aimv2_vision_model' and (
            not gated or len(set(biases)) > 1):
        raise UserError('no model of transformers that this tool writes '
                        f'computes the network of {source}: use --to timm.')
    config = dict(_config(tensors, kind, arch, backbone, source),
                  model_type=kind, architectures=[target.model])
    if rotary:
        config['rope_theta'] = rotary['base']
    tensors = _split(tensors, kind, config)
    return {rename(name, target.renames): tensor
            for name, tensor in tensors.items()}, config


def _config(tensors: Dict[str, Tensor], kind: str, arch: dict, backbone: dict,
            source: str) -> dict:
    width, channels, kernel, _ = tensors['patch_embed.proj.weight'].shape
    hidden = tensors['blocks.0.mlp.fc2.weight'].shape[1]
    act = arch.get('act') or 'gelu'
    gated = act == 'swiglu'
    has_bias = 'blocks.0.attn.qkv.bias' in tensors
    partial = 'blocks.0.attn.q_bias' in tensors
    norm_cfg = backbone.get('norm_cfg') or arch.get(
        'norm_cfg') or ARGUMENTS['norm_cfg']
    size = 224
    if 'pos_embed' in tensors:
        size = _image_size(tensors, backbone.get(
            'img_size', arch.get('img_size')), kernel, kind, source)
    registers = tensors['reg_token'].shape[1] if 'reg_token' in tensors else 0
    config = dict(
        hidden_size=width, intermediate_size=hidden,
        num_hidden_layers=sum(n.endswith('norm1.weight') for n in tensors),
        num_attention_heads=arch.get('num_heads') or default_heads(width),
        hidden_act=next(name for name, own in HF_ACTIVATIONS.items()
                        if own == act),
        image_size=size, patch_size=kernel, num_channels=channels,
        layer_norm_eps=norm_cfg.get('eps', 1e-5),
        qkv_bias=has_bias or partial)
    if kind == 'dinov3_vit':
        config.update(
            use_gated_mlp=gated, num_register_tokens=registers,
            query_bias=has_bias or partial, key_bias=has_bias,
            value_bias=has_bias or partial)
    elif kind.startswith('dinov2'):
        own = (int(4 * width * 2 / 3) + 7) // 8 * 8 if gated else \
            hidden // width * width
        if own != hidden:
            raise UserError(f'{source} has MLPs of width {hidden}, and those '
                            f'of Dinov2Model have {own}: use --to timm.')
        config.update(mlp_ratio=4 if gated else hidden // width,
                      use_swiglu_ffn=gated)
        if registers:
            config['num_register_tokens'] = registers
    elif kind == 'beit':
        config.update(
            use_mean_pooling='fc_norm.weight' in tensors,
            use_absolute_position_embeddings='pos_embed' in tensors)
    elif kind == 'siglip_vision_model':
        config['vision_use_head'] = False
    elif kind == 'aimv2_vision_model':
        config.update(rms_norm_eps=config.pop('layer_norm_eps'),
                      use_head=False, is_native=False,
                      mlp_bias='blocks.0.mlp.fc1.bias' in tensors)
    return config


def _image_size(tensors: Dict[str, Tensor], size: Union[int, list, None],
                kernel: int, kind: str, source: str
                ) -> Union[int, List[int]]:
    """Return the size in pixels of the grid of the position embedding."""
    rows = tensors['pos_embed'].shape[1] - sum(
        name in tensors for name in ('cls_token', 'dist_token'))
    sides = [size] * 2 if isinstance(size, int) else size or (0, 0)
    grid = [-(-side // kernel) for side in sides]
    if grid[0] * grid[1] != rows:
        grid = [math.isqrt(rows)] * 2
    if grid[0] * grid[1] != rows:
        raise UserError(f'the position embedding of {source} has {rows} rows, '
                        'and nothing tells their grid: use --to timm.')
    if grid[0] == grid[1]:
        return grid[0] * kernel
    if kind in SQUARE:
        raise UserError(f'{source} is of images that are not square, and '
                        f'{HUGGING_FACE[kind].model} of transformers takes '
                        'square ones: use --to timm.')
    return [side * kernel for side in grid]


def _split(tensors: Dict[str, Tensor], kind: str, config: dict
           ) -> Dict[str, Tensor]:
    """Return tensors with the parts that transformers keeps apart."""
    width = config['hidden_size']
    tensors = split_qkv(fuse_qkv(tensors))
    if kind == 'beit' or config.get('key_bias') is False:
        tensors = {name: tensor for name, tensor in tensors.items()
                   if not name.endswith('.attn.key.bias')}
    if kind == 'dinov3_vit':
        tensors.setdefault('reg_token', torch.zeros(1, 0, width))
        tensors['mask_token'] = torch.zeros(1, 1, width)
    elif kind.startswith('dinov2'):
        tensors['mask_token'] = torch.zeros(1, width)
        if config['use_swiglu_ffn']:
            tensors = {rename(name, ((r'\.mlp\.fc1\.', '.mlp.weights_in.'),
                                     (r'\.mlp\.fc2\.', '.mlp.weights_out.'))
                              ): tensor for name, tensor in tensors.items()}
    elif kind in ('clip_vision_model', 'siglip_vision_model',
                  'aimv2_vision_model'):
        tensors['pos_embed'] = tensors['pos_embed'][0]  # (1, N, C) -> (N, C)
        if 'cls_token' in tensors:  # (1, 1, C) -> (C)
            tensors['cls_token'] = tensors['cls_token'].flatten()
    if kind == 'aimv2_vision_model' or config.get('use_gated_mlp'):
        tensors = split_mlp(tensors, 'gate', 'up')
    return tensors


def write_folder(tensors: Dict[str, Tensor], config: dict,
                 folder: Path) -> None:
    """Write model.safetensors and config.json to a new folder."""
    part = folder.with_name(f'.{folder.name}.{os.getpid()}.part')
    try:
        write_checkpoint(tensors, part / 'model.safetensors', {})
        (part / 'config.json').write_text(json.dumps(config, indent=2))
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
