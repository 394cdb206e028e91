"""Fine-tuning: ordinary configs through tools/train.py and tools/test.py."""
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
from grid import Budget, Data, Network
from mmengine.config import Config
from PIL import Image
from probe import LATTICE, files, images_of, overlap, read_labels

from hpvit_mm.analysis.cost import skeleton
from hpvit_mm.analysis.count import count_step
from hpvit_mm.errors import UserError
from hpvit_mm.utils import replacing

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent


def tune(budget: Budget, task: str, network: Network, settings: dict,
         seed: int, root: Path, weights: Path, folder: Path) -> dict:
    """Train and test one network.

    Args:
        budget: The budget.
        task: 'segment', 'classify N' with N images per class, or 'detect'.
        network: The network.
        settings: Numbers of iterations and images, and their size.
        seed: Seed of the run, and of the choice of N images.
        root: Folder of the data.
        weights: File or folder of the plain ViT.
        folder: Where the run goes; a run that was stopped is resumed.

    Returns:
        The cost of the whole model, and the results.
    """
    kind = task.split(' ')[0]
    config, size = write_config(budget, task, network, settings, seed, root,
                                weights, folder)
    checkpoint = folder / f'iter_{settings["iterations"]}.pth'
    if not checkpoint.exists():
        resume = ['--resume'] if list(folder.glob('iter_*.pth')) else []
        run('train.py', config, '--work-dir', folder, '--no-validate',
            *resume, log=folder / 'train.log')
    rows = dict(segment=test_segment, classify=test_classify,
                detect=test_detect)[kind](budget, config, checkpoint, root,
                                          folder)
    counted = count_step(skeleton(Config.fromfile(config)), size)
    for path in folder.glob('*.pth'):
        path.unlink()
    forward = [one for one in counted.forward.values() if one]
    # slower intervals include other load of the machine
    logged = training_log(folder)
    step = min(line['time'] for line in logged.values())
    return dict(gmacs=round(sum(forward) / 2e9, 3),
                seconds=round(settings['iterations'] * step, 1),
                losses={iteration: round(line['loss'], 4)
                        for iteration, line in logged.items()},
                rows={network.name: rows})


def write_config(budget: Budget, task: str, network: Network, settings: dict,
                 seed: int, root: Path, weights: Path,
                 folder: Path) -> Tuple[Path, tuple]:
    """Write the config of a run; return its path and the size of the images.

    The arguments are those of :func:`tune`.
    """
    kind = task.split(' ')[0]
    cfg = Config.fromfile(HERE / 'configs' / f'{kind}.py')
    cfg.merge_from_dict(schedule(settings))
    backbone = dict(dict(type='hpvit_mm.HPViT'), **network.backbone,
                    drop_path_rate=0.)
    options = dict(type='Pretrained', checkpoint=str(weights.resolve()))
    if 'patch_resize' in backbone:
        options['patch_resize'] = backbone.pop('patch_resize')
    if backbone['type'].startswith('mmpretrain.'):
        options['prefix'] = 'backbone.'
    cfg.model.backbone = dict(backbone, init_cfg=options)
    make = dict(segment=segment, classify=classify, detect=detect)[kind]
    size = make(cfg, budget, network, settings, seed, root, folder)
    cfg.randomness = dict(seed=seed)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].num_workers = 0
        cfg[name].persistent_workers = False
    cfg.train_dataloader.batch_size = settings['batch']
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    config = folder / 'config.py'
    cfg.dump(config)
    return config, size


def schedule(settings: dict) -> Dict[str, object]:
    """Options that set the number of iterations."""
    last = settings['iterations']
    warm = max(1, last // 10)
    return {
        'train_cfg.max_iters': last, 'train_cfg.val_interval': last + 1,
        'param_scheduler.0.end': warm, 'param_scheduler.1.begin': warm,
        'param_scheduler.1.end': last,
        'default_hooks.logger.interval': min(10, last),
        'default_hooks.logger.log_metric_by_epoch': False,
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.interval': min(50, last),
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'log_processor.by_epoch': False}


def run(tool: str, *arguments: object, log: Path) -> None:
    """Run a tool of the repository; its output goes to a file."""
    with open(log, 'a') as file:
        status = subprocess.run(
            [sys.executable, str(TOOLS / tool), *map(str, arguments)],
            stdout=file, stderr=subprocess.STDOUT).returncode
    if status:
        lines = log.read_text().strip().splitlines()
        raise UserError(f'tools/{tool} {arguments[0]} failed with status '
                        f'{status}: {lines[-1] if lines else ""} (the whole '
                        f'output is in {log}).')


def training_log(folder: Path) -> Dict[int, dict]:
    """Iteration -> what a training logged there, also one that was resumed."""
    paths = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for path in paths
             for line in path.read_text().splitlines() if '"loss"' in line]
    return {line['step']: line for line in lines}


def scaled(size, network: Network) -> tuple:
    """(height, width), times the network's scale."""
    return tuple(round(side * network.scale) for side in size)


def listed(path: Path, lines: List[str]) -> str:
    """Write a list of images, and return its path."""
    path.write_text('\n'.join(lines) + '\n')
    return str(path.resolve())


# ------------------------------------------------------------- segmentation


def segment(cfg: Config, budget: Budget, network: Network, settings: dict,
            seed: int, root: Path, folder: Path) -> tuple:
    """Complete the config; return the size of the images."""
    data = budget.segmentation
    size = scaled(settings['size'], network)
    scale = size[::-1]
    cfg.model.data_preprocessor.update(size=size, seg_pad_val=data.ignored)
    outs = len(network.backbone['out_blocks'])
    cfg.model.decode_head.update(
        in_channels=[width(budget)] * outs, in_index=list(range(outs)),
        num_classes=data.classes, ignore_index=data.ignored)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='RandomResize', scale=scale, ratio_range=(1.0, 1.5),
             keep_ratio=False),
        dict(type='RandomCrop', crop_size=size),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PackSegInputs'),
    ]
    test_pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=scale, keep_ratio=False),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ]
    base = (root / data.folder).resolve()

    def dataset(parts, pipeline, **more):
        suffix = next((base / parts[0]).iterdir()).suffix
        return dict(
            type='BaseSegDataset', data_root=str(base),
            data_prefix=dict(img_path=parts[0], seg_map_path=parts[1]),
            img_suffix=suffix, seg_map_suffix='.png',
            metainfo=dict(classes=tuple(map(str, range(data.classes)))),
            ignore_index=data.ignored,
            reduce_zero_label=data.reduce_zero_label, pipeline=pipeline,
            **more)

    cfg.train_dataloader.dataset = dataset(data.train, pipeline)
    pairs = files(base, data.test, data.num_test)
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset = dataset(
        data.test, test_pipeline, ann_file=listed(
            folder / 'test.txt', [image.stem for image, _ in pairs]))
    cfg.test_evaluator = cfg.val_evaluator = dict(
        type='IoUMetric', iou_metrics=['mIoU'], ignore_index=data.ignored)
    cfg.pop('tta_pipeline', None)
    cfg.train_pipeline, cfg.test_pipeline = pipeline, test_pipeline
    cfg.crop_size = size
    return size


def test_segment(budget: Budget, config: Path, checkpoint: Path, root: Path,
                 folder: Path) -> dict:
    """Counts of pixels per image and class."""
    data, maps = budget.segmentation, folder / 'maps'
    shutil.rmtree(maps, ignore_errors=True)
    run('test.py', config, checkpoint, '--work-dir', folder, '--out', maps,
        log=folder / 'test.log')
    counts = []
    for image, labels in files(root / data.folder, data.test, data.num_test):
        truth = read_labels(labels, data, shrink=False)
        predicted = np.asarray(Image.open(maps / f'{image.stem}.png')).astype(
            np.int64) - data.reduce_zero_label
        step = slice(None, None, LATTICE)
        counts.append(overlap(predicted[step, step].ravel(),
                              truth[step, step].ravel(), data.classes))
    shutil.rmtree(maps)
    return dict(mIoU=[counts])


# ----------------------------------------------------------- classification


def classify(cfg: Config, budget: Budget, network: Network, settings: dict,
             seed: int, root: Path, folder: Path) -> tuple:
    """Complete the config; return the size of the images."""
    data = budget.classification
    size = scaled((settings['size'], ) * 2, network)
    if cfg.model.backbone.type.startswith('mmpretrain.'):
        cfg.model.neck = dict(type='GlobalAveragePooling')
    else:
        cfg.model.backbone.out_type = 'avg_featmap'
    if 'out_blocks' in network.backbone:
        cfg.model.backbone.out_blocks = network.backbone['out_blocks'][-1:]
    cfg.model.head.update(num_classes=data.classes,
                          in_channels=network.channels or width(budget))
    cfg.model.data_preprocessor.num_classes = data.classes
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='RandomResizedCrop', scale=size[0],
             crop_ratio_range=(0.5, 1.0), backend='pillow',
             interpolation='bicubic'),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='PackInputs'),
    ]
    test_pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=size[::-1], backend='pillow',
             interpolation='bicubic'),
        dict(type='PackInputs'),
    ]
    base = (root / data.folder).resolve()
    rng = np.random.default_rng(seed)
    chosen = []
    for name in sorted((base / data.train[0]).iterdir()):
        paths = sorted(name.iterdir())
        chosen += [paths[i] for i in rng.permutation(
            len(paths))[:settings['images']]]
    classes = sorted(one.name for one in (base / data.train[0]).iterdir())

    def dataset(name, paths, pipeline):
        lines = [f'{path.relative_to(base)} {classes.index(path.parent.name)}'
                 for path in paths]
        return dict(type='CustomDataset', data_root=str(base),
                    ann_file=listed(folder / f'{name}.txt', lines),
                    metainfo=dict(classes=classes), pipeline=pipeline)

    cfg.train_dataloader.dataset = dataset('train', chosen, pipeline)
    test = [path for path, _ in images_of(base / data.test[0], data.num_test)]
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset = dataset(
        'test', test, test_pipeline)
    cfg.train_pipeline, cfg.test_pipeline = pipeline, test_pipeline
    return size


def test_classify(budget: Budget, config: Path, checkpoint: Path, root: Path,
                  folder: Path) -> dict:
    """Return for each test image whether it was classified right."""
    out = folder / 'predictions.pkl'
    out.unlink(missing_ok=True)
    run('test.py', config, checkpoint, '--work-dir', folder, '--out', out,
        log=folder / 'test.log')
    samples = pickle.loads(out.read_bytes())  # written by our own run
    out.unlink()
    return dict(accuracy=[[
        int(one['pred_label'] == one['gt_label']) for one in samples]])


# ---------------------------------------------------------------- detection


def detect(cfg: Config, budget: Budget, network: Network, settings: dict,
           seed: int, root: Path, folder: Path) -> tuple:
    """Complete the config; return the size of the images.

    Objects of all classes are one class: a short training does not learn 80.
    """
    size = scaled(settings['size'], network)
    base = f'{(root / "coco").resolve()}/'
    blocks = network.backbone['out_blocks']
    strides = [network.backbone['patch_stride'] << i
               for i in range(len(network.backbone['stage_depths']))]
    if len(strides) == 1:  # plain
        cfg.model.backbone.out_blocks = blocks[-1:]
        cfg.model.neck = dict(
            type='hpvit_mm.SimpleFeaturePyramid', in_channels=width(budget),
            out_channels=64, num_outs=5)
        strides = [strides[0] // 4]
    else:
        cfg.model.neck.in_channels = [width(budget)] * len(blocks)
    levels = [strides[0] << i for i in range(5)]
    cfg.model.rpn_head.anchor_generator.strides = levels
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        cfg.model.roi_head[name].featmap_strides = levels[:4]
    pipeline = cfg.train_pipeline.copy()
    pipeline = [dict(one) for one in pipeline]
    for one in pipeline:
        for key in ('scale', 'crop_size', 'size'):
            if key in one:
                one[key] = size
    pipeline[2]['ratio_range'] = (0.8, 1.25)
    test_pipeline = [dict(one) for one in cfg.test_pipeline]
    test_pipeline[1]['scale'] = size
    for loader, steps in (('train', pipeline), ('val', test_pipeline)):
        cfg[f'{loader}_dataloader'].dataset = dict(
            type='CocoDataset', data_root=base,
            ann_file=one_class(base, loader, folder.parent),
            data_prefix=dict(img=f'{loader}2017/'),
            metainfo=dict(classes=('object', )), pipeline=steps,
            test_mode=loader == 'val')
    cfg.train_dataloader.dataset.filter_cfg = dict(filter_empty_gt=True,
                                                   min_size=32)
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset
    cfg.test_evaluator.ann_file = cfg.val_evaluator.ann_file = \
        cfg.val_dataloader.dataset.ann_file
    for head in ('bbox_head', 'mask_head'):
        cfg.model.roi_head[head].num_classes = 1
    cfg.train_pipeline, cfg.test_pipeline = pipeline, test_pipeline
    cfg.image_size = size
    return size


def one_class(base: str, split: str, folder: Path) -> str:
    """Write the annotations with one class, once; return the path."""
    file = (folder / f'one_class_{split}.json').resolve()
    if not file.exists():
        content = json.loads(Path(
            base, f'annotations/instances_{split}2017.json').read_text())
        content['categories'] = [dict(id=1, name='object')]
        for one in content['annotations']:
            one['category_id'] = 1
        with replacing(file) as part:
            part.write_text(json.dumps(content))
    return str(file)


def test_detect(budget: Budget, config: Path, checkpoint: Path, root: Path,
                folder: Path) -> dict:
    """AP of boxes and masks, also by size."""
    out = folder / 'metrics.json'
    out.unlink(missing_ok=True)
    run('test.py', config, checkpoint, '--work-dir', folder, '--out', out,
        log=folder / 'test.log')
    found = json.loads(out.read_text())
    names = {'mask AP': 'segm_mAP', 'box AP': 'bbox_mAP', **{
        f'mask AP {size}': f'segm_mAP_{size[0]}'
        for size in ('small', 'medium', 'large')}}
    if not any('mAP' in key for key in found):  # nothing was detected
        return dict.fromkeys(names, 0.)
    return {name: next(value for key, value in found.items()
                       if key.endswith(metric))
            for name, metric in names.items()}


def width(budget: Budget) -> int:
    """Channels of the network."""
    arch = budget.arch['arch']
    return 384 if arch == 'small' else arch['embed_dims']
