"""Check that the model agrees with its data and with the machine."""
import contextlib
import math
import os
import re
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from PIL import Image
from torch import nn

from hpvit_mm.datasets.rules.problems import evenly
from hpvit_mm.errors import UserError
from hpvit_mm.models import BaseBackbone
from hpvit_mm.models.layers.norm import BATCH_NORMS

from ..distributed import world_size
from .build import UNEXPECTED, first_text, hint, quiet, typed_dicts

# Initialisations that read a checkpoint.
PRETRAINED = ('Pretrained', 'hpvit_mm.PretrainedHead')
# What torch says where sizes differ, without values
MISMATCH = re.compile(
    r'Invalid channel dimensions|same reduction dim|normalized_shape|'
    r'number of channels|should contain \d+ elements')
DRAWS = 16  # samples that are read to see labels, or sizes


def check_training(cfg: Config, model: nn.Module) -> None:
    """Check what fails, or is wrong without a word, in training only."""
    check_batch_norm(cfg, model)
    check_mixing(cfg, model)
    head = getattr(model, 'head', None)
    check_topk(head, 'model.head', [('head', head.num_classes)]
               if hasattr(head, 'num_classes') else [])
    if cfg.get('default_scope') == 'mmseg':
        check_segmentation_losses(cfg, model)


def check_pretrained(cfg: Config, model: nn.Module) -> None:
    """Check that pre-trained weights exist, and fit the backbone.

    Those of a URL are fetched, and checked, by the run itself.
    """
    for path, entry in typed_dicts(cfg.model, 'model'):
        file = entry.get('checkpoint')
        if entry['type'] in PRETRAINED and file and '://' not in file \
                and not os.path.exists(os.path.expanduser(file)):
            raise UserError(
                f'{path}.checkpoint: the file {file} does not exist; put the '
                f'pre-trained weights there, or set {path}.checkpoint')
    for module in model.modules():
        if isinstance(module, BaseBackbone):
            module.check_pretrained()


def check_widths(model: nn.Module) -> None:
    """Check that the neck and the heads take the maps of our backbone.

    They are called without values. What is no mismatch of channels is left
    to the run: some heads take more than maps.
    """
    if not isinstance(getattr(model, 'backbone', None), BaseBackbone):
        return
    parts = [(f'model.{name}', getattr(model, name, None))
             for name in ('backbone', 'neck', 'rpn_head', 'bbox_head')]
    maps, giver = torch.zeros(
        2, model.backbone.in_channels, 128, 128, device='meta'), 'the images'
    for path, part in [*parts, *heads_of(model)]:
        if not isinstance(part, nn.Module):
            continue
        is_giver = path in ('model.backbone', 'model.neck')
        try:
            with quiet(), torch.no_grad():
                outs = part(maps)
            if is_giver:
                maps, giver = outs, path
                shown = ', '.join(str(one.shape[1]) for one in maps)
        except Exception as error:
            text = first_text(error)
            if path != 'model.backbone' and (MISMATCH.search(text) or (
                    isinstance(error, (AssertionError, IndexError)))):
                raise UserError(
                    f'{path} does not fit {giver}, which returns {len(maps)} '
                    f'maps of {shown} channels ({text}); correct '
                    f'{path}.in_channels') from error
            if is_giver:  # the heads need its maps
                break


# ---------------------------------------------------------------- training


def heads_of(model: nn.Module) -> Iterator[Tuple[str, nn.Module]]:
    """The heads that take the features of the neck or the backbone."""
    for name in ('head', 'decode_head', 'auxiliary_head'):
        head = getattr(model, name, None)
        if isinstance(head, nn.ModuleList):
            for index, one in enumerate(head):
                yield f'model.{name}.{index}', one
        elif isinstance(head, nn.Module):
            yield f'model.{name}', head


def check_batch_norm(cfg: Config, model: nn.Module) -> None:
    """Check that BN gets more than one value per channel in training.

    It gets one where a single image is pooled to 1x1, as in UperNet. SyncBN
    counts the images of all GPUs.
    """
    norms = [one for one in model.modules() if isinstance(one, BATCH_NORMS)]
    shared = torch.cuda.is_available() and all(
        isinstance(one, nn.SyncBatchNorm) for one in norms)
    if not norms or cfg.train_dataloader.get('batch_size') != 1 or (
            shared and world_size(cfg.get('launcher', 'none')) > 1):
        return
    size = getattr(model.data_preprocessor, 'size', None) or (224, 224)
    batch = torch.empty(1, getattr(model.backbone, 'in_channels', 3), *size,
                        device='meta')
    model.train()
    path = 'model'
    try:
        with quiet(), torch.no_grad():
            features = model.extract_feat(batch)
            for path, head in heads_of(model):
                head(features)
    except ValueError as error:
        if 'more than 1 value per channel' in str(error):
            raise UserError(
                'train_dataloader.batch_size is 1, but BatchNorm in '
                f'{path} needs more than one value per channel in training; '
                'set batch_size to 2 or more, train with SyncBN on several '
                "GPUs, or use another norm_cfg, such as dict(type='GN', "
                'num_groups=32)') from error
    except Exception:  # not everything runs without values
        return


def check_mixing(cfg: Config, model: nn.Module) -> None:
    """Check the number of classes of Mixup's and CutMix's soft labels."""
    preprocessor = getattr(model, 'data_preprocessor', None)
    number = getattr(preprocessor, 'num_classes', None)
    own = getattr(getattr(model, 'head', None), 'num_classes', None)
    if own and not number and getattr(preprocessor, 'batch_augments', None):
        sample = {'gt_score': 'unknown'}
        with quiet(), contextlib.suppress(Exception):  # other checks
            sample = DATASETS.build(cfg.train_dataloader.dataset)[0][
                'data_samples']
        if 'gt_score' not in sample and 'num_classes' not in sample:
            raise UserError(
                'model.data_preprocessor.num_classes is missing, which Mixup '
                f'and CutMix need; set it to {own}')
    if getattr(preprocessor, 'to_onehot', False) and number and own \
            and number != own:
        raise UserError(
            f'model.data_preprocessor.num_classes is {number}, but '
            f'model.head.num_classes is {own}; set both to the number of '
            'classes of the data')


# ------------------------------------------------------------ segmentation


def check_segmentation_losses(cfg: Config, model: nn.Module) -> None:
    """Compute each loss of mmseg on a few labels, and on those to ignore."""
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    stated = [(f'{path}.ignore_index', entry['ignore_index'])
              for path, entry in typed_dicts(cfg.train_dataloader.dataset,
                                             'train_dataloader.dataset')
              if entry.get('ignore_index') is not None]
    for path, head in heads_of(model):
        if not isinstance(head, BaseDecodeHead) or \
                type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
            continue
        for place, label in stated:
            if label != head.ignore_index:
                raise UserError(
                    f'{place} is {label}, but {path}.ignore_index is '
                    f'{head.ignore_index}; set it to {label} in each head')
        check_loss(cfg, model, path, head)


def check_loss(cfg: Config, model: nn.Module, path: str,
               head: nn.Module) -> None:
    """Check that a loss takes all labels that the training set gives."""
    classes = list(range(head.num_classes))
    error = loss_error(head, classes)
    if error is not None:
        # mmseg's FocalLoss, for one, computes on GPUs only
        if 'weight tensor' not in str(error) and (
                torch.cuda.is_available() or 'meta' in str(error)):
            return
        raise UserError(
            f'{path}.loss_decode cannot be computed for {len(classes)} '
            f'classes ({error}); correct its arguments, such as '
            'class_weight, one per class, or use a loss that this machine '
            'can compute')
    padding = getattr(model.data_preprocessor, 'seg_pad_val', 255)
    for label in sorted({255, padding, head.ignore_index} - set(classes)):
        error = loss_error(head, [*classes, label])
        file = first_with(cfg, label) if error is not None else None
        if file:
            remedy = 'remove class_weight, or use a loss that allows both, ' \
                'such as FocalLoss on a GPU'
            if label != head.ignore_index:
                remedy = f'set {path}.ignore_index to it, or, if only ' \
                    'padding has it, model.data_preprocessor.seg_pad_val to ' \
                    f'{head.ignore_index}'
            raise UserError(
                f'{path}.loss_decode fails on the label {label} '
                f'({type(error).__name__}: {error}), which training gives '
                f'to pixels of {file}, those to ignore or of padding; '
                f'{remedy}')


def loss_error(head: nn.Module, labels: List[int]) -> Optional[Exception]:
    """The error of a head's loss on some labels, None if it has none."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    side = max(8, math.ceil(len(labels)**0.5))
    repeats = math.ceil(side**2 / len(labels))
    target = torch.tensor(labels * repeats)[:side**2].view(1, side, side)
    logits = torch.zeros(1, head.out_channels, side, side)
    sample = SegDataSample(gt_sem_seg=PixelData(data=target))
    try:
        with quiet():
            head.loss_by_feat(logits, [sample])
    except Exception as error:
        return error
    return None


def first_with(cfg: Config, label: int) -> Optional[str]:
    """The file of a training sample that has a label, of a few samples."""
    with quiet(), contextlib.suppress(Exception):  # data have other checks
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        for index in evenly(range(len(dataset)), DRAWS):
            sample = dataset[index]
            batch = preprocessor(dict(
                inputs=[sample['inputs']],
                data_samples=[sample['data_samples']]), training=True)
            found, = batch['data_samples']
            if (found.gt_sem_seg.data == label).any():
                return Path(found.img_path).name
    return None


# ------------------------------------------------------------- evaluation


def check_batches(cfg: Config, loader: str, model: nn.Module) -> None:
    """Check that mmseg can stack the images of a batch in evaluation.

    It pads them in training only. Images that differ in size are read, to see
    what the pipeline makes of them.
    """
    preprocessor = type(getattr(model, 'data_preprocessor', None)).__name__
    if preprocessor != 'SegDataPreProcessor' \
            or cfg[loader].get('batch_size', 1) == 1:
        return
    shapes = {}
    with quiet(), contextlib.suppress(Exception):  # data have other checks
        dataset = DATASETS.build(cfg[loader].dataset)
        of_size = {}
        for index in evenly(range(len(dataset)), 200):
            file = dataset.get_data_info(index)['img_path']
            with Image.open(file) as image:
                of_size.setdefault(image.size, (index, file))
        for index, file in list(of_size.values())[:DRAWS]:
            shape = tuple(dataset[index]['inputs'].shape[1:])
            shapes.setdefault(shape, Path(file).name)
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise UserError(
            f'{loader}.batch_size is {cfg[loader].batch_size}, but mmseg '
            'cannot stack images of different sizes in evaluation, and '
            f'{first} is of {one} pixels and {second} of {other}; set '
            'batch_size to 1, or give Resize keep_ratio=False')


def check_test_cfg(cfg: Config, model: nn.Module) -> None:
    """Check what mmdet and mmseg look at in the first evaluation only."""
    entry = cfg.model.get('test_cfg') or {}
    if cfg.get('default_scope') == 'mmseg' and hasattr(model, 'decode_head'):
        mode = entry.get('mode', 'whole')
        missing = [key for key in ('crop_size', 'stride') if key not in entry]
        if mode not in ('whole', 'slide'):
            raise UserError(f'model.test_cfg.mode is {mode!r}; allowed are: '
                            'whole, slide')
        if mode == 'slide' and missing:
            raise UserError('model.test_cfg.mode is slide, which needs '
                            f'{" and ".join(missing)}; add it')
    elif cfg.get('default_scope') == 'mmdet':
        for path, nms in typed_dicts(cfg.model, 'model'):
            if path.endswith('.nms') and nms['type'] in ('nms', 'soft_nms'):
                check_nms(nms, path)


def check_nms(entry: dict, path: str) -> None:
    """Suppress a single box, to see whether the arguments are right."""
    from mmcv.ops import batched_nms
    try:
        batched_nms(torch.zeros(1, 4), torch.ones(1), torch.zeros(1), entry)
    except TypeError as error:
        unexpected = UNEXPECTED.search(str(error))
        if not unexpected:
            raise
        name, key = unexpected.groups()
        raise UserError(
            f'{path}.{key}: {name} has no argument {key}; ' + hint(
                key, ('iou_threshold', 'max_num', 'score_threshold', 'sigma',
                      'min_score', 'method'))) from error


def check_topk(metric: Any, path: str, heads: List[Tuple[str, int]]) -> None:
    """Check that there are as many classes as a metric, or a head, ranks."""
    topk = getattr(metric, 'topk', None)
    if not topk or not (type(metric).__name__ == 'Accuracy'
                        or getattr(metric, 'cal_acc', False)):
        return
    for name, number in heads:
        if max(topk) > number:
            raise UserError(
                f'{path}.topk is {tuple(topk)}, but model.{name} has '
                f'{number} classes; set topk to numbers up to {number}')
