"""Files of the families' own code load as those of timm do.

timm's converters (models/eva.py and vision_transformer.py of 1.0.31) read the
same files, and are the source of the names.
"""
import re

import pytest
import torch
from test_families_back import OWN, timm_model

from hpvit_mm.checkpoints import load_pretrained
from hpvit_mm.models import HPViT


def renamed(tensors, *renames):
    found = {}
    for name, tensor in tensors.items():
        for pattern, replacement in renames:
            name = re.sub(pattern, replacement, name)
        found[name] = tensor
    return found


def clip(tensors):
    """OpenAI's CLIP and PE, beside the text tower."""
    found = renamed(
        tensors, (r'^patch_embed\.proj', 'conv1'),
        (r'^pos_embed$', 'positional_embedding'),
        (r'^cls_token$', 'class_embedding'), (r'^norm_pre', 'ln_pre'),
        (r'^norm\.', 'ln_post.'), (r'^blocks', 'transformer.resblocks'),
        (r'\.norm([12])\.', r'.ln_\1.'), (r'\.attn\.qkv\.', '.attn.in_proj_'),
        (r'\.attn\.proj\.', '.attn.out_proj.'), (r'\.fc1\.', '.c_fc.'),
        (r'\.fc2\.', '.c_proj.'), (r'^attn_pool\.latent', 'attn_pool.probe'))
    found['positional_embedding'] = found['positional_embedding'][0]
    found['class_embedding'] = found['class_embedding'][0, 0]
    found = {f'visual.{name}': tensor for name, tensor in found.items()}
    return dict(found, logit_scale=torch.ones(()), positional_embedding=(
        torch.ones(77, 8)))


def eva02(tensors):
    """baaivision/EVA, asuka; tables of rotary positions in each block."""
    found = renamed(
        tensors, (r'fc1_g', 'w1'), (r'fc1_x', 'w2'), (r'\.fc2\.', '.w3.'),
        (r'mlp\.norm', 'mlp.ffn_ln'), (r'([qv])_proj\.bias', r'\1_bias'))
    found.update({'blocks.0.attn.rope.freqs_cos': torch.ones(4, 32),
                  'rope.freqs_sin': torch.ones(4, 32),
                  'mask_token': torch.ones(1, 1, 64)})
    return dict(model=found)


def aimv2(tensors):
    return renamed(
        tensors, (r'^patch_embed\.', 'preprocessor.patchifier.'),
        (r'^pos_embed', 'preprocessor.pos_embed'),
        (r'^norm\.', 'trunk.post_trunk_norm.'),
        (r'^fc_norm\.', 'trunk.post_trunk_norm.'),
        (r'^blocks\.', 'trunk.blocks.'), (r'\.norm([12])\.', r'.norm_\1.'),
        (r'fc1_g', 'fc1'), (r'fc1_x', 'fc3'))


@pytest.mark.parametrize('name, arch, hidden, write', [
    ('vit_base_patch16_clip_quickgelu_224', 'clip-base', 256, clip),
    ('vit_pe_core_base_patch16_224', 'pe-core-base', 256, clip),
    ('eva02_base_patch14_224', 'eva02-base', 170, eva02),
    ('aimv2_large_patch14_224', 'aimv2-large', 176, aimv2)])
def test_original_files(name, arch, hidden, write, tmp_path):
    tensors = timm_model(name).state_dict()
    torch.save(tensors, tmp_path / 'timm.pth')
    torch.save(write(tensors), tmp_path / 'original.pth')
    patch = tensors['patch_embed.proj.weight'].shape[-1]
    states = []
    for file in ('timm', 'original'):
        model = HPViT(dict(base=arch, feedforward_channels=hidden, **OWN),
                      patch_stride=patch, stage_depths=(2, ))
        report = load_pretrained(model, tmp_path / f'{file}.pth')
        assert not report.resampled
        states.append(model.state_dict())
    for key, tensor in states[0].items():
        assert torch.equal(tensor, states[1][key]), key
