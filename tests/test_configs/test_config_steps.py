"""The recipes train, validate and test, made small."""
import math

import pytest
from experiments import build, configs, evaluate, train_step

from hpvit_mm.engine.outputs import set_tta

# Of configs that differ in size, depths, schedule, precision, pooling or
# attention alone, one takes a step; test_configs.py builds all of them.
VARIANTS = ('-tiny-', '-small-', '-large-', '-huge-', '-1182-', '-1191-',
            '-3333-', '-avg-mae_mask', '-avg-mae_upernet', '-avg-mae_8xb',
            '-global-', '-window-mae_u', '/hivit-tiny', '/hivit-small',
            '/hivit-base_',
            'avg-dinov2_', 'avg-dinov2_', 'vit-base-dinov2_',
            'avg-dinov3_mask-rcnn', 'dinov3_upernet',
            'base-dinov3_mask', 'avg-dinov3_', 'base-dinov3_knn',
            'base-dinov3_linear', 'base-dinov3-frozen_m', '-frozen_mask2f',
            'base-dinov3-frozen_u', 'avg-dinov3-frozen_u',
            'mask2former_8xb2-9', 'vit-base-dinov3_dino',
            'vit-base-mae_cascade',
            '/vit-base-mae_upernet_8xb2-80k_cityscapes',
            '_cityscapes-512x1024', '8xb2x4-bf16-lsj',
            '-mae_mask-rcnn_8xb2-ms-3x', '8xb2-160k_ade20k-640x640')
RECIPES = [name for name in configs()
           if not any(part in name for part in VARIANTS)
           or '/hiera-' in name or '-p8-avg-mae_upernet' in name]


@pytest.mark.parametrize('cfg', RECIPES, indirect=True)
def test_one_step(small):
    if small.get('optim_wrapper'):
        model = train_step(small)
        metrics = evaluate(model, small.val_dataloader, small.val_evaluator)
        assert metrics and all(map(math.isfinite, metrics.values()))


@pytest.mark.parametrize('cfg', RECIPES, indirect=True)
def test_test_time_augmentation(small):
    if small.default_scope == 'mmdet' or not small.model.get('head', True):
        return  # mmdet merges no masks, and k-NN has a loop of its own
    set_tta(small)
    metrics = evaluate(build(small.model), small.test_dataloader,
                       small.test_evaluator)
    assert metrics and all(map(math.isfinite, metrics.values()))
