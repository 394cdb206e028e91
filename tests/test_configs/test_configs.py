"""Every config: it parses, reads data, and is what its name says."""
import re
from pathlib import Path

import pytest
from experiments import ROOT, configs, on_samples, read
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS

from hpvit_mm.analysis.cost import input_size, trains
from hpvit_mm.engine.checks.build import (argument_names, classes_of,
                                          typed_dicts)
from hpvit_mm.engine.checks.options import check_options, run_entries

DEPTHS = {'1182': (1, 1, 8, 2), '1191': (1, 1, 9, 1), '3333': (3, 3, 3, 3)}
EPOCHS = {'1x': 12, '3x': 36}


def name_of(cfg) -> str:
    return Path(cfg.filename).stem


READ = set()


def test_the_pipelines_read_data(cfg, sample_data):
    key = repr((cfg.get('train_dataloader'), cfg.test_dataloader,
                cfg.model.data_preprocessor, '-ms-' in name_of(cfg)))
    if key in READ:  # those of many configs are the same
        return
    READ.add(key)
    if trains(cfg):
        train = DATASETS.build(
            on_samples(cfg.train_dataloader.dataset, sample_data))
        shapes = {tuple(train[i]['inputs'].shape[1:]) for i in range(4)}
        if cfg.default_scope == 'mmseg':
            # the preprocessor pads what is smaller than the crop
            height, width = input_size(cfg)
            assert tuple(cfg.model.data_preprocessor.size) == (height, width)
            assert all(h <= height and w <= width for h, w in shapes)
        elif '-ms-' in name_of(cfg):
            assert len(shapes) > 1
        else:
            assert shapes == {input_size(cfg)}
    for name in ('val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            dataset = DATASETS.build(on_samples(cfg[name].dataset,
                                                sample_data))
            assert dataset[0]['inputs'].shape[0] == 3


def test_the_metrics_build(cfg):
    evaluator = dict(cfg.test_evaluator)
    evaluator.pop('ann_file', None)
    assert METRICS.build(evaluator)


def test_heads_have_the_classes_of_the_data(cfg):
    counts = set(re.findall(r"'num_(?:things_)?classes': (\d+)",
                            repr(cfg.to_dict())))
    if 'knn' in name_of(cfg):
        return
    assert len(counts) == 1
    dataset = cfg.test_dataloader.dataset
    if 'metainfo' in dataset:
        assert counts == {str(len(dataset.metainfo['classes']))}


def test_the_name_tells_the_schedule(cfg):
    name = name_of(cfg)
    if not trains(cfg):
        assert re.search('_(knn|test-only)_in1k$', name)
        return
    gpus, batch, steps = re.search(r'(\d+)xb(\d+)(?:x(\d+))?', name).groups()
    steps = int(steps or 1)
    assert cfg.train_dataloader.batch_size == int(batch)
    assert cfg.optim_wrapper.get('accumulative_counts', 1) == steps
    assert cfg.auto_scale_lr.base_batch_size == int(gpus) * int(batch) * steps
    wrapper = ('hpvit_mm.BFloat16OptimWrapper' if '-bf16' in name else
               'OptimWrapper')
    assert cfg.optim_wrapper.type == wrapper
    length, unit = re.search(r'-(\d+)(e|i|k|x)_', name).groups()
    if unit in 'ex':
        times = cfg.train_dataloader.dataset.get('times', 1)
        epochs = EPOCHS[length + unit] if unit == 'x' else int(length)
        last = cfg.train_cfg.max_epochs
        assert last * times == epochs
    else:
        last = int(length) * (1000 if unit == 'k' else 1)
        assert cfg.train_cfg.max_iters == last
    assert cfg.param_scheduler[-1].end == last


def test_the_name_tells_the_model(cfg):
    name = name_of(cfg)
    model, backbone = cfg.model, cfg.model.backbone
    family, size = re.match(r'(\w+?)-(\w+?)[-_]', name).groups()
    if family == 'swin':
        assert backbone.type == 'mmpretrain.SwinTransformer'
        assert backbone.arch == size
        window = re.search(r'-w(\d+)-', name)
        assert backbone.window_size == (int(window[1]) if window else 7)
        return
    assert backbone.type.lower() == f'hpvit_mm.{family}'.replace('.vit',
                                                                 '.hpvit')
    if family in ('hivit', 'hiera'):
        assert name.startswith(f'{family}-{backbone.arch}')
        return
    dino = re.search('-dinov[23]', name)
    if family == 'vit':
        assert len(backbone.stage_depths) == 1
        assert backbone.patch_stride == backbone.get('patch_size', 16)
    else:
        fine = '-p8-' in name
        assert backbone.get('patch_stride', 4) == (8 if fine else 4)
        assert len(backbone.get('stage_depths', range(4))) == (
            2 if fine else 4)
    widths = dict(mini=96, tiny=192, small=384)
    if dino:
        assert backbone.arch == f'{dino[0][1:]}-{size}'
    elif size in widths:
        assert backbone.arch.embed_dims == widths[size]
    else:
        assert backbone.arch == size
    for pooling in ('conv', 'avg'):
        if f'-{pooling}-' in name:
            assert backbone.pooling == pooling
    for tag, depths in DEPTHS.items():
        if f'-{tag}-' in name:
            assert tuple(backbone.stage_depths) == depths
    for kind in ('window', 'global'):
        if f'-{kind}-' in name:
            attention = backbone.attention
            assert attention == kind or attention[:2] == (kind, kind)
    assert ('-frozen_' in name or '_linear' in name) == (
        backbone.get('frozen_stages') == (1 if family == 'vit' else 4))
    types = {'_mask-rcnn_': 'MaskRCNN', '_cascade-mask-rcnn_': 'CascadeRCNN',
             '_mask2former_': 'EncoderDecoder' if cfg.default_scope == 'mmseg'
             else 'Mask2Former', '_dino-4scale_': 'DINO',
             '_upernet_': 'EncoderDecoder', '_linear_': 'EncoderDecoder',
             '_semantic-fpn_': 'EncoderDecoder'}
    assert model.type == next(
        (one for tag, one in types.items() if tag in name), 'ImageClassifier')
    sizes = re.search(r'-(\d+)x(\d+)$', name)
    if sizes:
        assert input_size(cfg) == tuple(map(int, sizes.groups()))
    pixels = re.search(r'-(\d+)px$', name)
    if pixels:
        assert input_size(cfg) == (int(pixels[1]), ) * 2


def test_the_checkpoint_is_of_the_model(cfg):
    checkpoint = cfg.model.backbone.init_cfg.checkpoint \
        if cfg.model.backbone.get('init_cfg') else ''
    if 'greenmim' in checkpoint or 'um-mae' in checkpoint:  # of our own pre-training
        assert cfg.model.backbone.arch in checkpoint
        return
    size = re.search(r'vit_(small|base|large|huge)|'
                     r'mae_(?:hiera_)?(tiny|small)|vit(b)14',
                     checkpoint)
    if size:
        assert (size[1] or size[2] or 'base') in name_of(cfg)
    else:
        assert 'mini' in name_of(cfg) or (
            not checkpoint and '-mae' not in name_of(cfg))


def test_the_head_of_the_file(cfg):
    text = Path(cfg.filename).read_text()
    head = text.split('"""')[1]
    if 'quickstart' in cfg.filename:
        assert 'python tools/train.py' in head
        return
    labels = re.findall(r'^([A-Z]\w+) {2,}\S', head, re.M)
    assert labels == ['Recipe', 'Command', 'Cost', 'Result']
    assert Path(cfg.filename).relative_to(ROOT).as_posix() in head


SEEN = set()


def test_options_may_name_every_argument(cfg):
    """Of each class that a config names, once."""
    options = {}
    for name in run_entries() & cfg.keys():
        for path, entry in typed_dicts(cfg[name], name):
            if (cfg.default_scope, entry['type']) in SEEN:
                continue
            SEEN.add((cfg.default_scope, entry['type']))
            for _, target in classes_of(entry['type']):
                options.update({f'{path}.{key}': None
                                for key in argument_names(target)})
    check_options(cfg, options)


@pytest.mark.parametrize('pattern, option', [
    ('ade20k/hpvit-base-conv*_8xb2-*512.py', option) for option in (
        'model.decode_head.ignore_index=0', 'model.decode_head.out_channels=1',
        'model.decode_head.loss_decode.class_weight=[1,2]',
        'train_dataloader.dataset.pipeline.1.reduce_zero_label=True',
        'train_dataloader.prefetch_factor=4',
        'optim_wrapper.paramwise_cfg.custom_keys.norm1.decay_mult=0',
        'optim_wrapper.clip_grad.max_norm=1',
        'default_hooks.checkpoint2.type=EMAHook')
] + [('coco/hpvit-base-conv*8xb8-lsj*.py', option) for option in (
        'train_dataloader.dataset.dataset.pipeline.1.poly2mask=False',
        'model.train_cfg.rpn.assigner.iou_calculator.type=BboxOverlaps2D',
        'model.test_cfg.rcnn.mask_thr_binary=0.4',
        'visualizer.vis_backends=[dict(type="LocalVisBackend")]')])
def test_options_that_are_valid(pattern, option):
    cfg = read(min(ROOT.glob(f'configs/{pattern}')))
    key, _, value = option.partition('=')
    check_options(cfg, {key: value})


def inheritance_steps(path: Path) -> int:
    bases = re.findall(r"'(\.[^']*\.py)'", path.read_text())
    return max((1 + inheritance_steps(path.parent / base) for base in bases),
               default=0)


@pytest.mark.parametrize('path', configs())
def test_inheritance_is_shallow(path):
    assert inheritance_steps(ROOT / path) <= 3


# one of each folder and kind: writing a config takes long
@pytest.mark.parametrize('pattern', [
    'imagenet/hpvit-base-conv-mae_*in1k.py', 'imagenet/hpvit*_knn_*.py',
    'imagenet/*test-only*.py', 'coco/hpvit-base-conv-mae_mask*.py',
    'coco/*cascade*.py', 'ade20k/hpvit-base-conv-mae_*512.py',
    'cityscapes/vit-large*.py'])
def test_a_dumped_config_reads_the_same(pattern, tmp_path):
    cfg = Config.fromfile(min((ROOT / 'configs').glob(pattern)))
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()
