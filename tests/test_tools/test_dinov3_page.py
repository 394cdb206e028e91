"""The commands of docs/dinov3.md, with a small file of DINOv3's format."""
import json
import re
import shutil

import pytest
import torch
from dinov3_file import TINY, write_dinov3
from tiny_experiments import ROOT

PAGE = (ROOT / 'docs/dinov3.md').read_text()
CONFIG, = re.findall(r'```python\n(.*?)```', PAGE, re.S)
COMMANDS, = re.findall(r'```bash\n(.*?)```', PAGE, re.S)
ARCH = dict(TINY, base='dinov3-base', num_layers=12, _delete_=True)
# small, and few images
SMALLER = f'''
model['backbone'].update(arch={ARCH})
model.update(
    neck=dict(in_channels=[32] * 4, out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16))
model['roi_head'].update(
    bbox_roi_extractor=dict(out_channels=16),
    mask_roi_extractor=dict(out_channels=16))
model['roi_head']['bbox_head'].update(
    in_channels=16, conv_out_channels=16, fc_out_channels=32)
model['roi_head']['mask_head'].update(
    num_convs=1, in_channels=16, conv_out_channels=16)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs')]
few = dict(num_workers=0, persistent_workers=False)
train_dataloader.update(few)
train_dataloader['dataset']['dataset'].update(pipeline=pipeline, indices=4)
val_dataloader.update(few)
val_dataloader['dataset'].update(pipeline=pipeline)
train_cfg = dict(max_epochs=1)
del few, pipeline
'''


@pytest.mark.slow
def test_every_command(inside, sample_data, tmp_path):
    parts = tmp_path / 'data/parts'
    classes = ('nut', 'bolt', 'ring')
    for split in ('train', 'val'):
        shutil.copytree(sample_data / f'coco/{split}2017', parts / split)
        content = json.loads((sample_data / 'coco/annotations' / (
            f'instances_{split}2017.json')).read_text())
        content['categories'] = [dict(id=number, name=name)
                                 for number, name in enumerate(classes)]
        for number, one in enumerate(content['annotations']):
            one['category_id'] = number % 3
        (parts / f'{split}.json').write_text(json.dumps(content))
    # its hash is not that of the name
    weights = re.search(r"weights = '(.*)'", CONFIG)[1]
    small = re.sub('-[0-9a-f]{8}', '', weights)
    write_dinov3(tmp_path / small, num_layers=12)
    config = tmp_path / 'configs/coco/parts.py'
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.replace(weights, small).replace(
        "'./", f"'{ROOT}/configs/coco/") + SMALLER)

    logs = []
    for line in COMMANDS.strip().splitlines():
        line = line.replace(weights, small).replace('epoch_36', 'epoch_1')
        if not torch.cuda.is_available():
            line = line.replace(' --amp --amp-dtype bfloat16', '')
        python, tool, *argv = line.split()
        assert python == 'python'
        logs.append(inside(tool.removeprefix('tools/'), *argv))
    assert 'dinov3' in logs[0].lower()
    assert 'DINOv3' in logs[1] and 'segm_mAP' in logs[2]


def test_the_config_has_ten_statements_of_a_few_lines():
    lines = [line for line in CONFIG.splitlines() if line[0] != '#']
    assert len(lines) < 14


def test_the_experiments_of_the_page_exist():
    for pattern in re.findall(r'`(h?p?vit-\S*\*\S*)`', PAGE):
        assert list((ROOT / 'configs').glob(f'*/{pattern}')), pattern
