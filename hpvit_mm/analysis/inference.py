"""Predict images with the inferencers of the three host libraries."""
import copy
import importlib
import warnings
from itertools import groupby
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import load_checkpoint
from torch import nn

from hpvit_mm.checkpoints import read_checkpoint
from hpvit_mm.checkpoints.loader import register_loaders
from hpvit_mm.engine.checks import check_entries, check_host
from hpvit_mm.engine.checks.checkpoint import check_checkpoint
from hpvit_mm.engine.checks.datasets import head_classes, leaves
from hpvit_mm.engine.checks.parts import build_skeleton
from hpvit_mm.errors import UserError

TASKS = dict(mmpretrain='classification', mmdet='detection',
             mmseg='segmentation')


class Predictor:
    """The inferencer of the library that a config names.

    Args:
        cfg: The config; its ``default_scope`` names the library.
        checkpoint: The weights of the whole model.
        classes: Names of the classes. Defaults to None: as in the
            checkpoint, or in the config.
        device: As for ``torch.device``. Defaults to None: a GPU if there is
            one.

    Attributes:
        task: 'classification', 'detection' or 'segmentation'.
        classes: Names of the classes.

    Raises:
        UserError: If the checkpoint does not fit, or the classes are not
            known.
    """

    def __init__(self, cfg: Config, checkpoint: str,
                 classes: Optional[Sequence[str]] = None,
                 device: Optional[str] = None) -> None:
        check_entries(cfg, ('model', 'test_dataloader'))
        scope = cfg.get('default_scope')
        if scope not in TASKS:
            raise UserError(f'default_scope of the config is {scope}; images '
                            f'are predicted by one of {", ".join(TASKS)}')
        check_host(cfg)
        register_loaders()
        self.task, self.cfg = TASKS[scope], cfg
        importlib.import_module(f'{scope}.datasets')
        with DefaultScope.overwrite_default_scope(scope):
            skeleton = build_skeleton(cfg)
            check_checkpoint(skeleton, checkpoint)
            self.classes = tuple(classes or find_classes(cfg, checkpoint))
            check_count(skeleton, self.classes)
            with warnings.catch_warnings():
                # about class names that the file lacks: they are set here
                warnings.simplefilter('ignore')
                self.inferencer = self._inferencer(
                    checkpoint, device or get_device())
        self.inferencer.show_progress = False

    def _inferencer(self, checkpoint: str, device: str):
        if self.task == 'classification':
            from mmpretrain.apis import ImageClassificationInferencer
            from mmpretrain.utils import progress
            from mmpretrain.visualization import UniversalVisualizer
            progress.disable_progress_bar = True
            inferencer = ImageClassificationInferencer(
                self.cfg, checkpoint, device, self.classes)
            inferencer.visualizer = UniversalVisualizer()
            return inferencer
        if self.task == 'detection':
            from mmdet.apis import DetInferencer
            inferencer = DetInferencer(self.cfg, checkpoint, device)
        else:
            from mmseg.apis import MMSegInferencer
            inferencer = MMSegInferencer(self.cfg, checkpoint, device=device)
        meta = dict(inferencer.model.dataset_meta, classes=self.classes)
        if len(meta.get('palette') or ()) != len(self.classes):
            meta['palette'] = 'random' if self.task == 'detection' \
                else random_palette(len(self.classes))
        inferencer.model.dataset_meta = meta
        if self.task == 'segmentation':
            inferencer.visualizer.set_dataset_meta(**{
                key: meta[key] for key in ('classes', 'palette')})
        else:
            inferencer.visualizer.dataset_meta = meta
        return inferencer

    def predict(self, images: Sequence, batch_size: int = 1) -> List:
        """Predict images.

        Args:
            images: Paths, or arrays (H, W, 3) in BGR.
            batch_size: Images that are computed at once. Segmentation puts
                neighbours of one size in a batch.

        Returns:
            A data sample of the library for each image.
        """
        groups = [list(images)]
        if self.task == 'segmentation' and batch_size > 1:
            groups = [list(group) for _, group in groupby(images, size_of)]
        samples = []
        for group in groups:
            for start in range(0, len(group), batch_size):
                batch = group[start:start + batch_size]
                found = self.inferencer(
                    batch, return_datasamples=True, batch_size=batch_size)
                if self.task == 'detection':
                    found = found['predictions']
                samples += found if isinstance(found, list) else [found]
        return samples

    def draw(self, image: np.ndarray, sample, out_file: str,
             threshold: float = 0.3) -> None:
        """Draw a prediction as the library does.

        Args:
            image: The image (H, W, 3) in BGR.
            sample: Its data sample.
            out_file: The file to write.
            threshold: Lowest score of the objects to draw.
        """
        image = np.ascontiguousarray(image[..., ::-1])
        visualizer = self.inferencer.visualizer
        if self.task == 'classification':
            # the text has the size of the image
            visualizer.visualize_cls(
                image, sample, self.classes, draw_gt=False,
                resize=max(224, *image.shape[:2]), out_file=out_file)
            return
        options = dict(pred_score_thr=threshold) \
            if self.task == 'detection' else {}
        visualizer.add_datasample('image', image, sample, draw_gt=False,
                                  out_file=out_file, **options)


def load_model(cfg: Config, checkpoint: str) -> nn.Module:
    """Build the model of a config with the weights of a checkpoint.

    Returns:
        The model, in eval mode, on the CPU.

    Raises:
        UserError: If the checkpoint does not fit.
    """
    check_entries(cfg, ('model', ))
    check_host(cfg)
    register_loaders()
    entry = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor'):
        entry.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        check_checkpoint(build_skeleton(cfg), checkpoint)
        model = MODELS.build(entry).eval()
    load_checkpoint(model, checkpoint, map_location='cpu')
    return model


def find_classes(cfg: Config, checkpoint: str) -> Sequence[str]:
    """Names of the classes: those in the checkpoint, else in the config.

    Raises:
        UserError: If neither has them.
    """
    meta = read_checkpoint(checkpoint).get('meta')
    meta = meta.get('dataset_meta') if isinstance(meta, dict) else None
    classes = {key.lower(): value for key, value in (meta or {}).items()
               }.get('classes')
    if not classes:
        _, entry = next(leaves(cfg.test_dataloader.dataset, ''))
        entry = dict(entry, lazy_init=True)
        try:
            classes = DATASETS.build(entry).metainfo.get('classes')
        except Exception:  # a class may need its files
            classes = None
    if not classes:
        raise UserError(
            f'neither {checkpoint} nor test_dataloader.dataset.metainfo of '
            'the config has the names of the classes; give a file with one '
            'name a line by --classes')
    return classes


def check_count(model: nn.Module, classes: Sequence[str]) -> None:
    """Check that each head has as many classes as there are names."""
    for name, number in head_classes(model):
        if number != len(classes):
            raise UserError(
                f'model.{name}.num_classes is {number}, but there are '
                f'{len(classes)} class names (of --classes, the checkpoint '
                f'or the config); give {number} names by --classes')


def size_of(image) -> tuple:
    """Height and width of an image."""
    if isinstance(image, str):
        import mmcv
        image = mmcv.imread(image)
    return image.shape[:2]


def random_palette(count: int) -> List[List[int]]:
    """Random colours that are the same in each run."""
    return np.random.RandomState(42).randint(0, 256, (count, 3)).tolist()


def top_classes(sample, classes: Sequence[str], count: int) -> List[Dict]:
    """The likeliest classes of an image, best first."""
    scores, labels = sample.pred_score.float().cpu().topk(
        min(count, len(classes)))
    return [dict(label=int(label), name=classes[label], score=float(score))
            for label, score in zip(labels, scores)]


def objects(sample, threshold: float) -> List[Dict]:
    """The objects of an image as in COCO's results, best first.

    ``category_id`` is the label + 1. ``bbox`` is x, y, width, height.
    """
    found = sample.pred_instances.cpu()
    found = found[found.scores >= threshold]
    found = found[found.scores.argsort(descending=True)]
    corners = found.bboxes.float().tolist()
    result = [
        dict(category_id=int(label) + 1, bbox=[x1, y1, x2 - x1, y2 - y1],
             area=(x2 - x1) * (y2 - y1), iscrowd=0, score=float(score))
        for label, score, (x1, y1, x2, y2) in zip(
            found.labels, found.scores, corners)]
    if 'masks' in found:
        from pycocotools import mask
        for one, pixels in zip(result, found.masks):
            # (H, W) -> run lengths, whose text JSON can hold
            code = mask.encode(np.asfortranarray(
                pixels.numpy().astype(np.uint8)))
            one['area'] = int(pixels.sum())
            one['segmentation'] = dict(code, counts=code['counts'].decode())
    return result


def label_map(sample) -> torch.Tensor:
    """The label of each pixel, (H, W)."""
    # (1, H, W) -> (H, W)
    return sample.pred_sem_seg.data[0].cpu()


def shares(labels: torch.Tensor, classes: Sequence[str]) -> Dict[str, float]:
    """Share of the pixels of each class that occurs, largest first."""
    counts = torch.bincount(labels.flatten(), minlength=len(classes)
                            )[:len(classes)] / labels.numel()
    order = counts.argsort(descending=True)
    return {classes[i]: float(counts[i]) for i in order if counts[i]}
