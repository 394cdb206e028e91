"""Outputs of a test: metrics, predictions, images.

The three libraries name these differently; only this module knows the names.
"""
import json
import os
import os.path as osp
from pathlib import Path
from typing import Dict

import numpy as np
from mmengine.config import Config, ConfigDict

from hpvit_mm.errors import UserError
from hpvit_mm.utils import type_name

from .checks.datasets import leaves

PREDICTIONS = ('.pkl', '.pickle')


def set_show_dir(cfg: Config, show_dir: str, tta: bool) -> None:
    """Draw every image of the test set, with the host's own hook."""
    show_dir = osp.abspath(show_dir)
    if osp.isdir(show_dir) and os.listdir(show_dir):
        raise UserError(f'--show-dir {show_dir} is not empty; name a new '
                        'folder')
    hook = _visualization_hook(cfg)
    scope = cfg.get('default_scope')
    if scope == 'mmpretrain':
        if tta:  # its hook takes the inputs of one image for a batch
            raise UserError('mmpretrain cannot draw images in test-time '
                            'augmentation; omit --show-dir or --tta')
        hook.update(enable=True, interval=1, out_dir=show_dir)
    elif scope == 'mmdet':
        hook.update(draw=True, test_out_dir=show_dir)
    else:
        # mmseg's hook writes where the visualizer's backend does
        hook.update(draw=True, interval=1)
        cfg.visualizer.vis_backends = [
            dict(type='LocalVisBackend', img_save_dir=show_dir)]


def _visualization_hook(cfg: Config) -> ConfigDict:
    names = dict(mmdet='DetVisualizationHook', mmseg='SegVisualizationHook')
    hook = dict(type=names.get(cfg.get('default_scope'), 'VisualizationHook'))
    return cfg.setdefault('default_hooks', ConfigDict()).setdefault(
        'visualization', ConfigDict(hook))


def set_tta(cfg: Config) -> None:
    """Set up test-time augmentation by the config or the library's default."""
    datasets = [one for _, one in leaves(cfg.test_dataloader.dataset, '')]
    scope = cfg.get('default_scope')
    if scope == 'mmpretrain':
        cfg.setdefault('tta_model', ConfigDict(type='AverageClsScoreTTA'))
        cfg.setdefault('tta_pipeline', with_flip(datasets[0].pipeline))
    elif scope == 'mmdet':
        cfg.setdefault('tta_model', ConfigDict(
            type='DetTTAModel',
            tta_cfg=dict(
                nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)))
        cfg.setdefault('tta_pipeline', with_flip(datasets[0].pipeline))
    for key in ('tta_model', 'tta_pipeline'):
        if not cfg.get(key):
            raise UserError(f'--tta needs {key} in the config; add it, or '
                            'omit --tta')
    if type_name(cfg.tta_model) == 'DetTTAModel' and \
            (cfg.model.get('roi_head') or {}).get('mask_head'):
        raise UserError("mmdet's test-time augmentation merges boxes, not "
                        'masks; omit --tta')
    for dataset in datasets:
        dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def with_flip(pipeline: list) -> list:
    """Return the test pipeline with and without a horizontal flip."""
    *transforms, pack = pipeline
    if 'Det' in type_name(pack):
        # DetTTAModel flips the boxes back by these two
        keys = pack.get('meta_keys', (
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
        pack = ConfigDict(pack, meta_keys=tuple(
            dict.fromkeys((*keys, 'flip', 'flip_direction'))))
    flips = [ConfigDict(type='RandomFlip', prob=prob) for prob in (1., 0.)]
    return [*transforms, ConfigDict(
        type='TestTimeAug', transforms=[flips, [pack]])]


def tested_metrics(cfg: Config) -> list:
    """Return the list of metrics in the config, which may be extended."""
    node, key = cfg, 'test_evaluator'
    if isinstance(cfg.test_evaluator, dict) and 'metrics' in node[key]:
        node, key = cfg.test_evaluator, 'metrics'
    if not isinstance(node[key], list):
        node[key] = [node[key]]
    return node[key]


def set_out(cfg: Config, out: str) -> None:
    """Set up --out, which must not replace anything."""
    path = Path(out)
    if path.suffix == '.json':
        _refuse_existing(path)
    elif path.suffix in PREDICTIONS:
        _refuse_existing(path)
        kind = 'mmdet.DumpDetResults' if cfg.default_scope == 'mmdet' \
            else 'DumpResults'
        tested_metrics(cfg).append(
            ConfigDict(type=kind, out_file_path=str(path)))
    elif path.suffix:
        raise UserError(f'--out {out} has an unknown ending; name FILE.json '
                        'for the metrics or FILE.pkl for the predictions')
    else:
        _set_label_maps(cfg, path)


def _set_label_maps(cfg: Config, folder: Path) -> None:
    metrics = [one for one in tested_metrics(cfg)
               if type_name(one).endswith('IoUMetric')]
    if not metrics:
        raise UserError(
            f'--out {folder} is a folder, into which only segmentation '
            'writes its label maps; name FILE.json for the metrics or '
            'FILE.pkl for the predictions')
    _refuse_existing(folder)
    metrics[0].output_dir = str(folder)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise UserError(f'--out {path} exists already; name '
                        'another path or remove it')


def write_metrics(metrics: Dict[str, float], path: str) -> None:
    """Write the metrics as JSON."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    plain = {name: float(value) if isinstance(value, (np.generic, float, int))
             else value for name, value in metrics.items()}
    Path(path).write_text(json.dumps(plain, indent=2) + '\n')
