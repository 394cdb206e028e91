"""Write a plain ViT as a model folder of transformers."""
import json
import math
import os
import shutil
from pathlib import Path
from typing import Dict, Tuple

import torch
from torch import Tensor

from hpvit_mm.errors import UserError
from hpvit_mm.models.backbones.archs import ROTARY
from .architecture import HF_ACTIVATIONS, default_heads
from .families import HUGGING_FACE, fuse_qkv, rename, split_mlp, split_qkv
from .write import write_checkpoint

# No model of transformers that is written here has these.
NOWHERE = ('attn_norm', 'mlp_norm', 'qk_norm', 'post_norm')


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
    target.check(tensors, source, f'{target.model} of transformers')
    if any(map(arch.get, NOWHERE)) or rotary and (
            arch['abs_pos'] or rotary['coords'] != 'centre'
            or rotary.get('learned')):
        raise UserError(f'no model of transformers that this tool writes '
                        f'computes the network of {source}: use --to timm.')
    config = dict(_config(tensors, kind, arch, backbone, source),
                  model_type=kind, architectures=[target.model])
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
    eps = backbone.get('norm_cfg', arch.get('norm_cfg', {})).get('eps', 1e-6)
    size = backbone.get('img_size', arch.get('img_size'))
    if 'pos_embed' in tensors:
        size = _image_size(tensors, size, kernel, source)
    registers = tensors['reg_token'].shape[1] if 'reg_token' in tensors else 0
    config = dict(
        hidden_size=width, intermediate_size=hidden,
        num_hidden_layers=sum(n.endswith('norm1.weight') for n in tensors),
        num_attention_heads=arch.get('num_heads') or default_heads(width),
        hidden_act=next(name for name, own in HF_ACTIVATIONS.items()
                        if own == act),
        image_size=size or 224, patch_size=kernel, num_channels=channels,
        layer_norm_eps=eps, qkv_bias=has_bias or partial)
    if kind == 'dinov3_vit':
        config.update(
            use_gated_mlp=gated, num_register_tokens=registers,
            rope_theta=dict(ROTARY, **arch['rotary'])['base'], query_bias=partial,
            key_bias=False, value_bias=partial)
    elif kind.startswith('dinov2'):
        own = (int(4 * width * 2 / 3) + 7) // 8 * 8 if gated else \
            hidden // width * width
        if own != hidden:
            raise UserError(f'{source} has MLPs of width {hidden}, and those '
                            f'of Dinov2Model have {own}: use --to timm.')
        config.update(
            mlp_ratio=4 if gated else hidden // width,
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
    if gated and kind not in ('dinov3_vit', 'dinov2', 'aimv2_vision_model',
                              'dinov2_with_registers'):
        raise UserError(f'{source} has SwiGLU, which {HUGGING_FACE[kind].model}'
                        ' of transformers has not: use --to timm.')
    return config


def _image_size(tensors: Dict[str, Tensor], size, kernel: int, source: str):
    rows = tensors['pos_embed'].shape[1] - sum(
        name in tensors for name in ('cls_token', 'dist_token'))
    size = size or math.isqrt(rows) * kernel
    sides = [size] * 2 if isinstance(size, int) else size
    if (sides[0] // kernel) * (sides[1] // kernel) != rows:
        raise UserError(f'the position embedding of {source} has {rows} rows, '
                        'and nothing tells their grid: use --to timm.')
    return size


def _split(tensors: Dict[str, Tensor], kind: str, config: dict
           ) -> Dict[str, Tensor]:
    """Return tensors with the parts that transformers keeps apart."""
    width = config['hidden_size']
    tensors = split_qkv(fuse_qkv(tensors))
    if kind in ('dinov3_vit', 'beit'):
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
        for name in tensors.keys() & {'pos_embed', 'cls_token'}:
            # (1, N, C) -> (N, C), and (1, 1, C) -> (C)
            tensors[name] = tensors[name][0] if name == 'pos_embed' \
                else tensors[name].flatten()
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
