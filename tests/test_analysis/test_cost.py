"""What an experiment costs: formulas, counts, and numbers known elsewhere."""
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch.nn.attention import SDPBackend, sdpa_kernel

from hpvit_mm.analysis.cost import (FLOPS_PER_SECOND, backbone_macs, cost_of,
                                    counter, input_size, nominal_macs,
                                    schedule)
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

ROOT = Path(__file__).parents[2]
SMALL = dict(
    arch=dict(embed_dims=32, num_layers=6, num_heads=2,
              feedforward_channels=128), stage_depths=(1, 2, 2, 1))
PLAIN = dict(patch_stride=16, stage_depths=(12, ))


def on_meta(**kwargs) -> HPViT:
    with torch.device('meta'):
        return HPViT(**kwargs)


def config(path: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / f'{path}.py')


# ------------------------------------------------------- formula and counter


@pytest.mark.parametrize('size', [(64, 64), (224, 224), (448, 224)])
@pytest.mark.parametrize('kwargs', [
    dict(),
    dict(pooling='avg'),
    dict(attention='window', window_size=7),
    dict(attention='global'),
    dict(with_cls_token=True, num_registers=2),
    dict(stage_depths=(0, 3, 0, 3)),
    dict(out_indices=(0, 1)),
    dict(patch_stride=16, stage_depths=(6, )),
], ids=str)
def test_formula_and_counter_agree(kwargs, size):
    if size == (64, 64) and kwargs.get('window_size'):
        size = (56, 112)
    stages, _ = backbone_macs(on_meta(**{**SMALL, **kwargs}), size)
    assert all(stage.nominal == stage.executed for stage in stages)


@pytest.mark.parametrize('size', [(70, 90), (33, 100)])
def test_global_attention_never_pads(size):
    stages, _ = backbone_macs(on_meta(**SMALL, attention='global'), size)
    assert all(stage.nominal == stage.executed for stage in stages)


def test_padding_is_executed_and_not_nominal():
    # 100 pixels are 25 tokens at 1/4, in 4 dilated groups of 7 a side; 13 at
    # 1/8, in 2 of 7
    embedding, quarter, eighth, *rest = backbone_macs(
        on_meta(**SMALL), (100, 100))[0]
    assert embedding.executed == embedding.nominal == 25**2 * 3 * 16**2 * 32
    assert quarter.executed > quarter.nominal
    assert eighth.executed > eighth.nominal
    assert all(stage.executed == stage.nominal for stage in rest)
    assert quarter.executed == 28**2 * (12 * 32**2 + 2 * 49 * 32)


def test_the_parts_are_the_whole():
    backbone = on_meta(**SMALL).eval()
    image = torch.empty(1, 3, 100, 60, device='meta')
    with torch.no_grad():
        backbone(image)  # positions are computed once, for all images
        with counter() as counted:
            backbone(image)
    stages, _ = backbone_macs(backbone, (100, 60))
    assert 2 * sum(s.executed for s in stages) == counted.get_total_flops()
    assert [s.name for s in stages] == ['embedding', '1/4', '1/8', '1/16',
                                        '1/32']


def test_the_same_is_counted_with_values():
    totals = []
    for device in ('meta', 'cpu'):
        with counter() as counted, torch.no_grad(), torch.device(device), \
                sdpa_kernel(SDPBackend.MATH):
            HPViT(**SMALL).eval()(torch.empty(1, 3, 60, 60))
        totals.append(counted.get_total_flops())
    assert totals[0] == totals[1]


# ---------------------------------------------------------- known elsewhere


@pytest.mark.parametrize('depths, window_size, size, gmacs', [
    ((1, 1, 9, 1), 14, 224, 44.1),
    ((2, 2, 6, 2), 14, 224, 69.1),
    ((3, 3, 3, 3), 14, 224, 94.0),
    ((1, 1, 9, 1), 16, 512, 244),
    ((2, 2, 6, 2), 16, 512, 373),
    ((1, 1, 9, 1), 16, 1024, 1152),
    ((2, 2, 6, 2), 16, 1024, 1609),
])
@pytest.mark.parametrize('kind', ['window', 'dilated'])
def test_hpvit_by_hand(depths, window_size, size, gmacs, kind):
    """Added up by hand; 14 divides the grids of 224, 16 the others."""
    backbone = on_meta(stage_depths=depths, window_size=window_size,
                       pooling='avg', attention=(kind, kind, 'global',
                                                 'global'))
    stages, _ = backbone_macs(backbone, (size, size))
    macs = sum(stage.executed for stage in stages) / 1e9
    assert macs == pytest.approx(gmacs, abs=0.05 if gmacs < 100 else 0.5)
    assert all(stage.nominal == stage.executed for stage in stages)


def test_conv_pooling_by_hand():
    conv, avg = (sum(nominal_macs(on_meta(pooling=pooling), (224, 224)))
                 for pooling in ('conv', 'avg'))
    assert conv - avg == (28**2 + 14**2 + 7**2) * 4 * 768**2


@pytest.mark.parametrize('kwargs, size, gmacs', [
    (PLAIN, 224, 17.47),
    # mmpretrain, configs/mae: 17.58 with the head
    (dict(PLAIN, with_cls_token=True), 224, 17.56),
    (PLAIN, 512, 106.9),
    (dict(arch='large', patch_stride=16, stage_depths=(24, )), 224, 61.2),
])
def test_plain_vit(kwargs, size, gmacs):
    stages, _ = backbone_macs(on_meta(**kwargs), (size, size))
    macs = sum(stage.executed for stage in stages) / 1e9
    assert macs == pytest.approx(gmacs, abs=0.05)
    assert all(stage.nominal == stage.executed for stage in stages)


# ----------------------------------------------------- checkpointing, freezing


def test_checkpointed_blocks_are_computed_again():
    plain, _ = backbone_macs(on_meta(**SMALL, pooling='avg'), (64, 64))
    some, _ = backbone_macs(
        on_meta(**SMALL, pooling='avg', with_cp=(True, False, True, False)),
        (64, 64))
    assert [stage.executed for stage in some] == \
        [stage.executed for stage in plain]
    assert [stage.recomputed for stage in some] == [
        0, some[1].executed, 0, some[3].executed, 0]
    assert not any(stage.recomputed for stage in plain)


def test_pooling_is_not_computed_again():
    stages, _ = backbone_macs(on_meta(**SMALL, with_cp=True), (64, 64))
    assert stages[2].executed - stages[2].recomputed == 8**2 * 4 * 32**2


def test_what_follows_an_average_is_computed_again():
    stages, _ = backbone_macs(
        on_meta(**SMALL, with_cp=True, pooling='avg',
                out_type='avg_featmap'), (64, 64))
    assert all(stage.executed == stage.recomputed for stage in stages[1:])


def test_frozen_stages():
    stages, _ = backbone_macs(
        on_meta(**SMALL, frozen_stages=2, with_cp=True), (64, 64))
    assert [stage.frozen for stage in stages] == [True, True, True, False,
                                                  False]
    assert [bool(stage.recomputed) for stage in stages] == [
        False, False, False, True, True]


# --------------------------------------------------------------- experiments


def test_classification():
    cost = cost_of(config('imagenet/hpvit-base-conv-mae_8xb128-100e_in1k'))
    assert cost.size == (224, 224)
    assert cost.macs('nominal') == pytest.approx(71.5e9, rel=1e-3)
    # fc2 of the last block sees the average of 49 tokens
    assert cost.macs('nominal') - cost.macs() == 48 * 768 * 3072
    assert cost.heads == 768 * 1000
    assert (cost.images, cost.rounds, cost.unit) == (1281167, 100, 'epoch')
    assert cost.flops == 6 * (cost.macs() + cost.heads) * 128116700
    assert cost.gpu_hours == cost.flops / FLOPS_PER_SECOND / 3600
    assert cost.gpu_hours == pytest.approx(122, abs=0.5)
    assert cost.parameters == cost.trained == cost.backbone + 769000
    assert cost.copied == 768 * (
        3 * 16**2 + 3 * 4 * 768 + 12 * 12 * 768 + 1000)
    assert cost.memory == 16 * cost.parameters + 2 * cost.copied \
        + 128 * cost.activations


def test_segmentation():
    cost = cost_of(config(
        'ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512'))
    assert cost.macs() == pytest.approx(385e9, rel=2e-3)
    tokens, c = 128**2, 512
    pyramid = sum(tokens // 4**s for s in range(3))
    heads = (
        pyramid * 768 * c  # lateral
        + pyramid * 9 * c * c  # 3x3 on three levels
        + (1 + 4 + 9 + 36) * 768 * c  # pooled
        + 256 * 9 * (768 + 4 * c) * c  # what follows
        + tokens * 9 * 4 * c * c  # all levels in one
        + tokens * c * 150
        + 1024 * (9 * 768 * 256 + 256 * 150))  # auxiliary
    assert cost.heads == heads
    assert (cost.images, cost.rounds, cost.unit) == (16, 160000, 'iteration')


def test_detection():
    cost = cost_of(config(
        'coco/hpvit-base-conv-mae_mask-rcnn_8xb8-lsj-100e_coco'))
    assert cost.size == (1024, 1024)
    assert cost.macs() == pytest.approx(1563e9, rel=1e-3)
    tokens, c = 256**2, 256
    pyramid = sum(tokens // 4**s for s in range(4))
    levels = pyramid + tokens // 4**4
    box = 512 * (49 * 4 * 9 * c * c + 49 * c * 1024 + 1024 * (81 + 320))
    mask = 128 * (196 * (4 * 9 * c * c + 4 * c * c) + 28**2 * c * 80)
    assert cost.heads == (
        pyramid * (768 * c + 9 * c * c)  # FPN
        + levels * (2 * 9 * c * c + c * 15)  # RPN
        + box + mask)
    assert (cost.images, cost.rounds, cost.unit) == (117266, 100, 'epoch')
    recomputed = cost.macs('recomputed')
    assert recomputed == cost.stages[1].executed
    assert cost.flops_per_image == \
        6 * (cost.macs() + cost.heads) + 2 * recomputed

    cascade = cost_of(config(
        'coco/hpvit-base-conv-mae_cascade-mask-rcnn_8xb8-lsj-100e_coco'))
    # one regressor for all classes instead of 80
    box_of_cascade = box - 512 * 1024 * (320 - 4)
    assert cascade.heads - cost.heads == \
        3 * (box_of_cascade + mask) - box - mask


def test_linear_probing_trains_the_head_alone():
    cost = cost_of(config(
        'imagenet/hpvit-base-avg-mae_linear-8xb512x4-90e_in1k'))
    assert cost.trained == 769000
    assert cost.flops_per_image == 2 * cost.macs() + 6 * cost.heads
    # nothing is kept, but one block at a time computes
    assert cost.memory == 16 * 769000 + 2 * 768000 + 4 * cost.backbone \
        + 512 * 56**2 * 768 * 24


def test_tests_cost_a_forward_pass():
    cost = cost_of(config('imagenet/vit-base-mae-ft_test-only_in1k'))
    assert not cost.trains
    assert (cost.images, cost.rounds) == (50000, 1)
    assert cost.flops == 2 * (cost.macs() + cost.heads) * 50000
    knn = cost_of(config('imagenet/vit-base-mae_knn_in1k'))
    assert knn.images == 1281167 + 50000
    assert knn.heads == 0


def test_accumulated_batches():
    """They change the GiB and not the FLOPs."""
    cfg = config('ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512')
    cfg.optim_wrapper.accumulative_counts = 4
    cfg.train_cfg.max_iters *= 4
    images, rounds, _ = schedule(cfg)
    assert (images, rounds) == (4, 640000)


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


def test_padded_experiment():
    cost = cost_of(config(
        'cityscapes/hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-769x769'))
    grid = math.ceil(769 / 4)
    assert grid == 193
    assert cost.macs() > cost.macs('nominal')
    # dilated by 4: 2 windows of 25
    assert cost.stages[1].executed == 2 * 200**2 * (
        12 * 768**2 + 2 * 625 * 768)


# ------------------------------------------------------------------ mistakes


def test_unknown_data_set():
    cfg = config('imagenet/vit-base-mae_8xb128-100e_in1k')
    cfg.train_dataloader.dataset.type = 'Flowers'
    with pytest.raises(UserError, match='images of Flowers .* IMAGES'):
        cost_of(cfg)


def test_unknown_size():
    cfg = config('imagenet/vit-base-mae_8xb128-100e_in1k')
    cfg.train_pipeline = []
    with pytest.raises(UserError, match='set crop_size or image_size'):
        cost_of(cfg)


def test_unknown_batch():
    cfg = config('ade20k/vit-base-mae_upernet_8xb2-160k_ade20k-512x512')
    cfg.auto_scale_lr = None
    with pytest.raises(UserError, match='add auto_scale_lr.base_batch_size'):
        cost_of(cfg)


def test_another_backbone():
    cfg = config('imagenet/vit-base-mae_8xb128-100e_in1k')
    cfg.model.backbone = dict(type='ResNet', depth=18)
    with pytest.raises(UserError, match='HPViT as backbone'):
        cost_of(cfg)


def test_a_model_that_cannot_be_built():
    cfg = config('imagenet/vit-base-mae_8xb128-100e_in1k')
    cfg.model.head.in_channels = -3
    with pytest.raises(UserError, match='its model cannot be built'):
        cost_of(cfg)


def test_fsdp_shares_out_the_parameters():
    whole, shared = (cost_of(Config.fromfile(
        ROOT / f'configs/imagenet/hpvit-huge-conv-mae_8xb64x2{tag}-50e_in1k.py'))
        for tag in ('', '-fsdp'))
    assert whole.memory - shared.memory == pytest.approx(
        16 * whole.trained * 7 / 8)
    assert whole.flops == shared.flops
