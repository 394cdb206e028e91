"""The optimizer and the schedule of the recipes, number by number.

Not computed from the configs' own entries: a table that somebody wrote down
from the sources is compared with what the optimizer really gets.
"""
import pytest
import torch
from experiments import ROOT, configs, learning_rates
from mmengine.config import Config

from hpvit_mm.engine import LayerDecayOptimWrapperConstructor
from hpvit_mm.models import HPViT

# Learning rate of depth 0 (embeddings), 1 (the first block), the last block
# and the heads, relative to the full rate; then weight decay and rate.
# ViT-B has 14 depths, ViT-L 26, ViT-H 34.
RECIPES = {
    # MAE, FINETUNE.md
    'imagenet/hpvit-base-conv-mae_8xb128-100e_in1k':
        (0.65**13, 0.65**12, 0.65, 1, 0.05, 2e-3),
    'imagenet/hpvit-large-conv-mae_8xb128-50e_in1k':
        (0.75**25, 0.75**24, 0.75, 1, 0.05, 4e-3),
    'imagenet/hpvit-huge-conv-mae_8xb64x2-50e_in1k':
        (0.75**33, 0.75**32, 0.75, 1, 0.05, 4e-3),
    # MAE-Lite
    'imagenet/hpvit-tiny-conv-mae_8xb128-100e_in1k':
        (0.85**13, 0.85**12, 0.85, 1, 0.05, 4e-3),
    'imagenet/hpvit-small-conv-mae_8xb128-100e_in1k':
        (0.75**13, 0.75**12, 0.75, 1, 0.05, 4e-3),
    # ViTDet, detectron2
    'coco/hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco':
        (0.7**13, 0.7**12, 0.7, 1, 0.1, 1e-4),
    'coco/hpvit-large-conv-mae_mask-rcnn_8xb8-bf16-lsj-100e_coco':
        (0.8**25, 0.8**24, 0.8, 1, 0.1, 1e-4),
    'coco/hpvit-base-conv-mae_mask-rcnn_8xb2-ms-1x_coco':
        (0.7**13, 0.7**12, 0.7, 1, 0.05, 1e-4),
    # ViT-Adapter, detection/configs/mask_rcnn/dinov2
    'coco/hpvit-small-avg-dinov2_mask-rcnn_8xb2-ms-3x_coco':
        (0.7**13, 0.7**12, 0.7, 1, 0.05, 1e-4),
    'coco/vit-large-dinov2_mask-rcnn_8xb2-ms-3x_coco':
        (0.8**25, 0.8**24, 0.8, 1, 0.05, 1e-4),
    # mmdetection, configs/dino; mmsegmentation, configs/mask2former; EoMT
    'coco/vit-base-dinov2_dino-4scale_8xb2-ms-12e_coco':
        (0.7**13, 0.7**12, 0.7, 1, 1e-4, 1e-4),
    'ade20k/hpvit-base-avg-dinov2_mask2former_8xb2-160k_ade20k-512x512':
        (0.8**13, 0.8**12, 0.8, 1, 0.05, 1e-4),
    # mmsegmentation, configs/mae
    'ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512':
        (0.65**13, 0.65**12, 0.65, 1, 0.05, 1e-4),
    'ade20k/hpvit-large-conv-mae_upernet_8xb2-160k_ade20k-512x512':
        (0.75**25, 0.75**24, 0.75, 1, 0.05, 1e-4),
    'cityscapes/hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024':
        (0.65**13, 0.65**12, 0.65, 1, 0.05, 1e-4),
}

# The whole table of two recipes: depth -> factor on the rate.
VIT_B = {0: 0.003697, 1: 0.005688, 2: 0.008751, 3: 0.013463, 4: 0.020712,
         5: 0.031864, 6: 0.049022, 7: 0.075419, 8: 0.116029, 9: 0.178506,
         10: 0.274625, 11: 0.4225, 12: 0.65, 13: 1}
VIT_L = {0: 0.000753, 1: 0.001003, 2: 0.001338, 3: 0.001784, 4: 0.002378,
         5: 0.003171, 6: 0.004228, 7: 0.005638, 8: 0.007517, 9: 0.010023,
         10: 0.013363, 11: 0.017818, 12: 0.023757, 13: 0.031676,
         14: 0.042235, 15: 0.056314, 16: 0.075085, 17: 0.100113,
         18: 0.133484, 19: 0.177979, 20: 0.237305, 21: 0.316406,
         22: 0.421875, 23: 0.5625, 24: 0.75, 25: 1}


class Model(torch.nn.Module):
    """The config's backbone and a head."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = HPViT(**backbone)
        self.head = torch.nn.Linear(8, 8)


def groups_of(cfg):
    """Name of each parameter -> its group."""
    backbone = dict(cfg.model.backbone)
    backbone.pop('type')
    with torch.device('meta'):
        model = Model(backbone)
    wrapper = LayerDecayOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=dict(cfg.optim_wrapper.optimizer)),
        dict(cfg.optim_wrapper.paramwise_cfg))(model)
    names = {id(param): name for name, param in model.named_parameters()}
    return {names[id(param)]: group
            for group in wrapper.optimizer.param_groups
            for param in group['params']}


def load(name):
    return Config.fromfile(ROOT / 'configs' / f'{name}.py')


@pytest.mark.parametrize('name', RECIPES)
def test_rates_and_decays(name):
    cfg = load(name)
    found = groups_of(cfg)
    first, block, last_block, head, decay, rate = RECIPES[name]
    last = max(int(one.split('.')[2]) for one in found if '.blocks.' in one)
    expected = {
        'backbone.patch_embed.proj.weight': (first, decay),
        'backbone.patch_embed.proj.bias': (first, 0),
        'backbone.pos_embed': (first, 0),
        'backbone.blocks.0.attn.qkv.weight': (block, decay),
        'backbone.blocks.0.norm1.weight': (block, 0),
        'backbone.blocks.0.mlp.fc2.bias': (block, 0),
        f'backbone.blocks.{last}.attn.qkv.weight': (last_block, decay),
        'head.weight': (head, decay),
        'head.bias': (head, 0),
    }
    for one, (scale, weight_decay) in expected.items():
        assert found[one]['lr'] == pytest.approx(rate * scale), one
        assert found[one]['weight_decay'] == weight_decay, one


@pytest.mark.parametrize('name, table, rate', [
    ('imagenet/hpvit-base-conv-mae_8xb128-100e_in1k', VIT_B, 2e-3),
    ('imagenet/hpvit-large-conv-mae_8xb128-50e_in1k', VIT_L, 4e-3)])
def test_every_group(name, table, rate):
    groups = {id(group): group for group in groups_of(load(name)).values()}
    assert len(groups) == 2 * len(table)  # with and without decay
    for group in groups.values():
        assert group['lr_scale'] == pytest.approx(
            table[group['depth']], rel=1e-3)
        assert group['lr'] == pytest.approx(rate * group['lr_scale'])
        assert group['weight_decay'] in (0, 0.05)


# ------------------------------------------------------------- schedules

# Iterations of an epoch: few, to save time, but more epochs' than a warm-up.
IN1K, LSJ, MS = 8, 20, 150
CORNERS = {
    # folder and end of the name: [(iteration, factor on the rate), ...]
    'imagenet/swin-*-um-mae_*': (
        IN1K, [(0, 1e-4), (5 * IN1K - 1, 1), (52.5 * IN1K, 0.5),
               (100 * IN1K - 1, 0)]),
    'imagenet/*vit-*_8xb128-100e_in1k': (
        IN1K, [(0, 1e-4), (5 * IN1K - 1, 1), (52.5 * IN1K, 0.5),
               (100 * IN1K - 1, 0)]),
    'imagenet/swin-*-greenmim_*': (
        IN1K, [(0, 1e-4), (20 * IN1K - 1, 1), (60 * IN1K, 0.5),
               (100 * IN1K - 1, 0)]),
    'imagenet/*-50e_in1k*': (
        IN1K, [(0, 1e-4), (5 * IN1K - 1, 1), (27.5 * IN1K, 0.5),
               (50 * IN1K - 1, 0)]),
    'imagenet/*-lite-300e_in1k': (
        8, [(0, 1e-4), (5 * 8 - 1, 1), (152.5 * 8, 0.5), (300 * 8 - 1, 0)]),
    'imagenet/*-lite-1000e_in1k': (
        8, [(0, 1e-4), (5 * 8 - 1, 1), (502.5 * 8, 0.5), (1000 * 8 - 1, 0)]),
    'imagenet/hivit*-300e_in1k': (
        8, [(0, 1e-3), (20 * 8 - 1, 1), (160 * 8, 0.505),
            (300 * 8 - 1, 0.01)]),
    'imagenet/*_linear-*': (
        78, [(0, 1e-4), (10 * 78 - 1, 1), (50 * 78, 0.5), (90 * 78 - 1, 0)]),
    'coco/*_8xb8*-100e_coco*': (
        LSJ, [(0, 1e-3), (250, 1), (22 * LSJ - 1, 1), (22 * LSJ, 0.1),
              (24 * LSJ - 1, 0.1), (24 * LSJ, 0.01), (25 * LSJ - 1, 0.01)]),
    'coco/*-ms-1x_coco': (
        MS, [(0, 1e-3), (1000, 1), (8 * MS - 1, 1), (8 * MS, 0.1),
             (11 * MS, 0.01), (12 * MS - 1, 0.01)]),
    'coco/*-ms-3x_coco': (
        MS, [(0, 1e-3), (1000, 1), (27 * MS - 1, 1), (27 * MS, 0.1),
             (33 * MS, 0.01), (36 * MS - 1, 0.01)]),
    'coco/*_dino-*-12e_coco': (
        MS, [(0, 1), (11 * MS - 1, 1), (11 * MS, 0.1)]),
    'coco/*-50e_coco': (
        2 * MS, [(0, 1), (22 * 2 * MS - 1, 1), (22 * 2 * MS, 0.1),
                 (24 * 2 * MS, 0.01), (25 * 2 * MS - 1, 0.01)]),
    'ade20k/*_upernet_*-160k_*': (
        None, [(0, 1e-6), (1500, 1), (80750, 0.5), (159999, 0)]),
    'ade20k/*_semantic-fpn_*': (
        None, [(0, 1e-6), (1500, 1), (80750, 0.5), (159999, 0)]),
    'ade20k/hivit*-80k_*': (
        None, [(0, 1e-6), (750, 1), (40375, 0.5), (79999, 0)]),
    'ade20k/*-frozen_*-80k_*': (
        None, [(0, 1e-6), (1500, 1), (40750, 0.5), (79999, 0)]),
    'ade20k/*-40k_*': (
        None, [(0, 1e-6), (1500, 1), (20750, 0.5), (39999, 0)]),
    'ade20k/*_mask2former_*': (
        None, [(0, 1), (80000, 0.5**0.9), (159999, 0)]),
    'cityscapes/*-80k_*': (
        None, [(0, 1e-6), (1500, 1), (40750, 0.5), (79999, 0)]),
    'cityscapes/*_mask2former_*': (
        None, [(0, 1), (45000, 0.5**0.9), (89999, 0)]),
}


@pytest.mark.parametrize('pattern', CORNERS)
def test_corners_of_the_schedule(pattern):
    per_epoch, corners = CORNERS[pattern]
    folder = ROOT / 'configs'
    # a schedule of 125,000 iterations takes a second: once for equal ones
    done = set()
    for path in sorted(folder.glob(pattern + '.py')):
        cfg = Config.fromfile(path)
        key = str((cfg.param_scheduler, cfg.train_cfg))
        if key in done:
            continue
        done.add(key)
        factors = [rate / cfg.optim_wrapper.optimizer.lr
                   for rate in learning_rates(cfg, per_epoch)]
        for iteration, factor in corners:
            assert factors[int(iteration)] == pytest.approx(
                factor, rel=5e-3, abs=2e-3), (path.name, iteration)
    assert len(done) == 1


def test_the_end_of_the_cosine_is_in_proportion():
    """As in MAE, where the rate of each depth is a share of the full one."""
    for run, end in (('base-conv-mae_8xb128-100e', 1e-6 / 2e-3),
                     ('large-conv-mae_8xb128-50e', 1e-6 / 4e-3)):
        rates = learning_rates(load(f'imagenet/hpvit-{run}_in1k'), 100)
        assert rates[-1] == pytest.approx(end * max(rates), rel=1e-2)
    entry = load('imagenet/hpvit-base-conv-mae_8xb128-100e_in1k')
    assert 'eta_min' not in entry.param_scheduler[1]


def test_every_schedule_is_checked():
    covered = {path for pattern in CORNERS
               for path in (ROOT / 'configs').glob(pattern + '.py')}
    untrained = ('quickstart', '_knn_', '_test-only_', 'x4-bf16', '384px',
                 'b64x2')
    for path in configs():
        if not any(tag in path for tag in untrained):
            assert ROOT / path in covered, path


def test_warm_up_is_counted_in_updates():
    """mmengine counts iterations, of which several make an update."""
    name = 'coco/hpvit-base-conv-mae_mask-rcnn_{}-lsj-100e_coco'
    parts, whole = load(name.format('8xb2x4-bf16')), load(name.format('8xb8'))
    assert parts.param_scheduler[0].end == 4 * whole.param_scheduler[0].end
    assert parts.param_scheduler[1:] == whole.param_scheduler[1:]
    assert parts.auto_scale_lr == whole.auto_scale_lr
