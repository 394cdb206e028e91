"""A small file of facebookresearch/dinov3's format."""
from pathlib import Path

import torch

from hpvit_mm.models import HPViT

TINY = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)


def write_dinov3(path: Path, **arch) -> dict:
    """Write random weights of ``TINY``, changed by ``arch``; return them."""
    torch.manual_seed(0)
    arch = dict(dict(TINY, base='dinov3-base'), **arch)
    model = HPViT(arch, patch_stride=16, stage_depths=(arch['num_layers'], ))
    tensors = {}
    for name, tensor in model.state_dict().items():
        name = name.replace('norms.0', 'norm').replace('reg_token',
                                                       'storage_tokens')
        if name.endswith('q_bias'):
            # the third of the keys is masked, whatever it holds
            name = name.replace('q_bias', 'qkv.bias')
            tensors[name + '_mask'] = torch.cat(
                [torch.ones(32), torch.zeros(32), torch.ones(32)])
            tensor = torch.randn(96)
        if not name.endswith('v_bias'):
            tensors[name] = tensor
    tensors['rope_embed.periods'] = 100.**(torch.arange(4) / 4)
    tensors['mask_token'] = torch.zeros(1, 32)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, path)
    return tensors
