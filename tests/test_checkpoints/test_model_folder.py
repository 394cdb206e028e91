"""Backbones in folders of Hugging Face."""
import json
import subprocess
import sys
import textwrap

import pytest
import torch
from mmengine.registry import MODELS

from hpvit_mm.checkpoints import from_pretrained, save_pretrained
from hpvit_mm.errors import UserError

ARCH = dict(embed_dims=24, num_layers=4, num_heads=2, feedforward_channels=48)
HPVIT = dict(type='hpvit_mm.HPViT', arch=ARCH, stage_depths=(1, 1, 1, 1),
             pooling='conv',
             img_size=64, with_cls_token=True)
PLAIN = dict(type='hpvit_mm.HPViT', arch=ARCH, patch_stride=16,
             stage_depths=(4, ), img_size=64, out_blocks=(1, 3))


def images():
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def randomised(config):
    torch.manual_seed(0)
    backbone = MODELS.build(dict(config)).eval()
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return backbone


@pytest.mark.parametrize('config', [HPVIT, PLAIN])
def test_a_backbone_comes_back(config, tmp_path):
    backbone = randomised(config)
    save_pretrained(backbone, dict(config, init_cfg=dict(
        type='Pretrained', checkpoint='of/the/training.pth')),
        tmp_path / 'model', notes='mIoU 50')
    again = from_pretrained(tmp_path / 'model').eval()
    for one, other in zip(backbone(images()), again(images()), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    card = (tmp_path / 'model/README.md').read_text()
    assert 'mIoU 50' in card and '"stage_depths"' in card
    assert 'training.pth' not in (tmp_path / 'model/config.json').read_text()


def test_a_config_can_name_the_folder(tmp_path):
    backbone = randomised(HPVIT)
    save_pretrained(backbone, HPVIT, tmp_path / 'model')
    again = MODELS.build(dict(HPVIT, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'model')))).eval()
    again.init_weights()
    for one, other in zip(backbone(images()), again(images()), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_mistakes_are_told(tmp_path):
    backbone = randomised(HPVIT)
    with pytest.raises(UserError, match='does not give the backbone'):
        save_pretrained(backbone, dict(HPVIT, pooling='avg'),
                        tmp_path / 'other')
    assert not (tmp_path / 'other').exists()
    folder = tmp_path / 'model'
    save_pretrained(backbone, HPVIT, folder)
    with pytest.raises(UserError, match='exists'):
        save_pretrained(backbone, HPVIT, folder)
    with pytest.raises(UserError, match='there is no folder'):
        from_pretrained(tmp_path / 'none')
    config = json.loads((folder / 'config.json').read_text())
    config['backbone']['pooling'] = 'avg'
    (folder / 'config.json').write_text(json.dumps(config))
    with pytest.raises(UserError, match='does not fit config.json'):
        from_pretrained(folder)
    (folder / 'config.json').write_text('{"model_type": "vit"}')
    with pytest.raises(UserError, match='describes no backbone'):
        from_pretrained(folder)


def test_models_need_torch_and_mmengine_only(tmp_path):
    """In a process that can import none of the other libraries."""
    save_pretrained(randomised(HPVIT), HPVIT, tmp_path / 'model')
    program = textwrap.dedent(f'''
        import sys
        for name in ('mmcv', 'mmdet', 'mmseg', 'mmpretrain', 'cv2',
                     'torchvision', 'timm', 'transformers', 'sklearn'):
            sys.modules[name] = None    # an import of it fails
        import torch
        import hpvit_mm.models
        from hpvit_mm.checkpoints import from_pretrained
        backbone = from_pretrained({str(tmp_path / 'model')!r}).eval()
        outs = backbone(torch.zeros(1, 3, 64, 96))
        assert [tuple(out.shape[2:]) for out in outs] == [
            (16, 24), (8, 12), (4, 6), (2, 3)]
        hpvit_mm.models.SimpleFeaturePyramid(24, 16)(outs[2:3])
    ''')
    subprocess.run([sys.executable, '-c', program], check=True, timeout=120)


def test_a_checkpoint_of_a_training_loads(tmp_path):
    """RecordHook leaves a dict where a converted file has a string."""
    backbone = randomised(HPVIT)
    torch.save(dict(
        meta=dict(hpvit_mm=dict(changes=[])),
        state_dict={f'backbone.{name}': one for name, one in
                    backbone.state_dict().items()}), tmp_path / 'epoch_1.pth')
    again = MODELS.build(dict(HPVIT, init_cfg=dict(
        type='Pretrained', checkpoint=str(tmp_path / 'epoch_1.pth'))))
    again.init_weights()
    torch.testing.assert_close(again.pos_embed, backbone.pos_embed)
