"""Cost of experiments: sizes, schedules, memory, and mistakes."""
from pathlib import Path

import pytest
from mmengine.config import Config

from hpvit_mm.analysis.cost import (BF16_SPEED, FP32_SPEED, cost_of,
                                    input_size, schedule, skeleton)
from hpvit_mm.analysis.count import count_step
from hpvit_mm.errors import UserError

ROOT = Path(__file__).parents[2]
# The parameters of a network that is quick to count.
MINI = dict(arch=dict(embed_dims=32, num_layers=2, num_heads=2,
                      feedforward_channels=64),
            stage_depths=(1, 1), patch_stride=16)


def config(path: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / f'{path}.py')


def small(path: str) -> Config:
    """A classifier's config with a small backbone."""
    cfg = config(path)
    cfg.model.backbone.update(MINI)
    if cfg.model.get('head'):
        cfg.model.head.in_channels = 32
    return cfg


def test_a_training():
    cfg = small('imagenet/hpvit-base-conv-mae_8xb128-100e_in1k')
    cost = cost_of(cfg)
    assert cost.size == (224, 224)
    assert cost.heads == 2 * 32 * 1000
    assert (cost.images, cost.rounds, cost.unit) == (1281167, 100, 'epoch')
    step = cost.backbone + cost.heads + cost.backward
    assert cost.flops == step * 128116700
    assert cost.gpu_hours(bf16=True) == cost.flops / BF16_SPEED / 3600
    assert cost.parameters == cost.trained
    # a parameter, its gradient, two moments, a bucket of DDP
    assert cost.memory > 20 * cost.parameters

    cfg.strategy = dict(type='hpvit_mm.FSDPStrategy')
    shared = cost_of(cfg)
    assert shared.flops == cost.flops
    assert cost.memory - shared.memory == 18 * cost.parameters


def test_linear_probing_trains_the_head_alone():
    cfg = small('imagenet/hpvit-base-avg-mae_linear-8xb512x4-90e_in1k')
    cfg.model.backbone.frozen_stages = 2
    cfg.model.neck.input_features = 32
    cost = cost_of(cfg)
    assert cost.trained == 33 * 1000
    assert cost.backward == cost.heads  # the features get no gradient


def test_tests_cost_a_forward_pass_in_fp32():
    cost = cost_of(small('imagenet/vit-base-mae_knn_in1k'))
    assert not cost.trains
    assert (cost.images, cost.rounds) == (1281167 + 50000, 1)
    assert cost.backward == cost.heads == 0
    assert cost.gpu_hours(bf16=False) == cost.flops / FP32_SPEED / 3600


def test_heads_of_a_detector():
    """As many regions as are sampled, added up by hand."""
    cfg = config('coco/vit-base-mae_mask-rcnn_8xb8-lsj-100e_coco')
    cfg.model.backbone.update(MINI, attention='global',
                              out_indices=(0, ))
    cfg.model.neck.in_channels = 32
    forward = count_step(skeleton(cfg), (256, 256), train=False).forward
    c = 256
    tokens = sum((64 >> i)**2 for i in range(5))
    box = 512 * (49 * 4 * 9 * c * c + 49 * c * 1024 + 1024 * (81 + 320))
    mask = 128 * (196 * (4 * 9 * c * c + 4 * c * c) + 28**2 * c * 80)
    assert forward['rpn_head'] / 2 == tokens * (
        2 * 9 * c * c + c * 15)
    assert forward['roi_head'] / 2 == box + mask


def test_accumulated_batches():
    cfg = config('ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512')
    cfg.optim_wrapper.accumulative_counts = 4
    cfg.train_cfg.max_iters *= 4
    assert schedule(cfg) == (4, 640000, 'iteration')


def test_sizes():
    several = config('coco/hpvit-base-conv-mae_mask-rcnn_8xb2-ms-1x_coco')
    assert input_size(several) == (640, 864)
    assert input_size(several, largest=True) == (800, 1344)
    for path, size in {
            'imagenet/vit-base-mae_8xb64x2-100e_in1k-384px': (384, 384),
            'imagenet/vit-base-mae_knn_in1k': (224, 224),
            'cityscapes/vit-base-mae_upernet_8xb2-80k_cityscapes-512x1024':
                (512, 1024),
            'cityscapes/vit-base-mae_upernet_8xb2-80k_cityscapes-769x769':
                (769, 769)}.items():
        assert input_size(config(path)) == size
        assert input_size(config(path), largest=True) == size


@pytest.mark.parametrize('change, says', [
    (lambda cfg: cfg.train_dataloader.dataset.update(type='Flowers'),
     'images of Flowers .* IMAGES'),
    (lambda cfg: cfg.update(train_pipeline=[]),
     'set crop_size or image_size'),
    (lambda cfg: cfg.update(auto_scale_lr=None),
     'add auto_scale_lr.base_batch_size'),
    (lambda cfg: cfg.update(model=None), 'has no model'),
    (lambda cfg: cfg.model.head.update(in_channels=33),
     'its head is not known')])
def test_mistakes(change, says):
    cfg = small('imagenet/vit-base-mae_8xb128-100e_in1k')
    change(cfg)
    with pytest.raises(UserError, match=says):
        cost_of(cfg)
