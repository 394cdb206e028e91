"""Norms of queries and keys, against timm's."""
from functools import partial

import pytest
import torch
from torch import nn

from hpvit_mm.checkpoints import load_pretrained, read_plain
from hpvit_mm.checkpoints.architecture import arch_of
from hpvit_mm.checkpoints.convert import convert
from hpvit_mm.checkpoints.export import export
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

AXIAL = dict(coords='index', base=100., order='xy', style='interleaved')


def timm_model(rotary):
    from timm.layers import RmsNorm
    from timm.models import eva, vision_transformer
    kwargs = dict(img_size=64, embed_dim=32, depth=2, num_heads=2,
                  num_classes=0, qk_norm=True, global_pool='token')
    torch.manual_seed(0)
    if rotary:
        model = eva.Eva(
            **kwargs, use_rot_pos_emb=True, rope_temperature=100.,
            rope_grid_indexing='xy', use_abs_pos_emb=False,
            qkv_fused=False, norm_layer=partial(RmsNorm, eps=1e-6))
    else:
        model = vision_transformer.VisionTransformer(
            **kwargs, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize('rotary', [None, AXIAL], ids=['none', 'axial'])
@torch.no_grad()
def test_features_are_timms(rotary, tmp_path):
    """Behind a rotation the norms' weights follow the channels."""
    theirs, file = timm_model(rotary), tmp_path / 'timm.pth'
    torch.save(theirs.state_dict(), file)
    plain = read_plain(theirs.state_dict(), 'timm.pth')
    arch = dict(arch_of(plain), rotary=rotary)
    assert arch['qk_norm'] and arch['num_heads'] == 2
    ours = HPViT(arch, img_size=64, patch_stride=16, stage_depths=(2, ))
    load_pretrained(ours.eval(), file)
    x = torch.randn(2, 3, 64, 64)
    # (B, C, h, w) -> (B, h * w, C)
    torch.testing.assert_close(ours(x)[0].flatten(2).transpose(1, 2),
                               theirs.forward_features(x)[:, 1:])
    with torch.autocast('cpu', torch.bfloat16):
        assert ours(x)[0].isfinite().all()
    with pytest.raises(UserError, match='qk_norm=True.*backbone has False'):
        load_pretrained(HPViT(dict(arch, qk_norm=False), stage_depths=(2, ),
                              patch_stride=16), file)


def test_they_go_back(tmp_path):
    theirs = timm_model(None)
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    convert(tmp_path / 'timm.pth', tmp_path / 'own.pth', patch_stride=8,
            stage_depths=(1, 1), with_cls_token=True)
    export(tmp_path / 'own.pth', tmp_path / 'back.pth', 'timm')
    back = torch.load(tmp_path / 'back.pth')
    assert back.keys() == theirs.state_dict().keys()
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(back[key], tensor), key
    with pytest.raises(UserError, match='other norms'):
        export(tmp_path / 'own.pth', None, 'mae')
