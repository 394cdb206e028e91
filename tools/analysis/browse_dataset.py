#!/usr/bin/env python
"""Draw what a model sees of its data; see --help."""
import argparse
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

NOTES = """\
Images are taken at even distances in the data set, as they leave the pipeline,
with their labels: classes, boxes and masks, or colours of pixels. Mixup and
CutMix of mmpretrain come after it, in the model, and are not drawn."""


def build(cfg, phase: str):
    """Build the data set and the visualizer of a config."""
    import importlib

    from mmengine.registry import DATASETS, VISUALIZERS

    from hpvit_mm.engine.checks import check_entries, check_host
    from hpvit_mm.engine.checks.build import build as build_entry
    from hpvit_mm.engine.checks.datasets import check_root, leaves
    check_entries(cfg, (f'{phase}_dataloader', 'visualizer'))
    check_host(cfg)
    importlib.import_module(f'{cfg.default_scope}.visualization')
    path = f'{phase}_dataloader.dataset'
    entry = cfg[f'{phase}_dataloader'].dataset
    for place, inner in leaves(entry, path):
        check_root(inner, place)
    dataset = build_entry(DATASETS.build, entry, path)
    visualizer = VISUALIZERS.build(dict(cfg.visualizer, vis_backends=[],
                                        name='browse'))
    visualizer.dataset_meta = dataset.metainfo
    return dataset, visualizer


def drawn(item: dict, visualizer, scope: str, trains: bool):
    """Draw the labels of an item into its image, (H, W, 3) in RGB."""
    import cv2
    import numpy as np
    # (3, H, W) in BGR -> (H, W, 3) in RGB
    image = np.ascontiguousarray(
        item['inputs'].permute(1, 2, 0).numpy()[..., ::-1])
    sample = item['data_samples']
    if scope == 'mmpretrain':
        # the class is in the title
        return image
    if scope == 'mmdet':
        sample = sample.numpy()
        boxes = sample.gt_instances.bboxes
        if not isinstance(boxes, np.ndarray):
            sample.gt_instances.bboxes = boxes.tensor.numpy()
    # test pipelines load labels behind Resize: they have the original size
    if 'gt_sem_seg' in sample:
        size = sample.gt_sem_seg.shape
    else:
        size = image.shape[:2] if trains else sample.ori_shape
    image = cv2.resize(image, tuple(size[::-1]))
    visualizer.add_datasample('browse', image, sample, draw_gt=True,
                              draw_pred=False)
    return visualizer.get_image()


def title_of(item: dict, classes) -> str:
    """File name, and the class of an image that has one."""
    sample = item['data_samples']
    text = Path(getattr(sample, 'img_path', None) or '').name
    if 'gt_label' in sample:
        text += ': ' + ', '.join(
            classes[label] if classes else str(label)
            for label in sample.gt_label.tolist())
    return text


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Draw images of a data set as the model gets them, with '
        'their labels, on one sheet.',
        'python tools/analysis/browse_dataset.py CONFIG --phase val '
        '--count 24',
        notes=NOTES))
    parser.add_argument('config')
    parser.add_argument('--phase', choices=('train', 'val', 'test'),
                        default='train', help='which data (default: train)')
    parser.add_argument('--count', type=int, default=12, metavar='N',
                        help='number of images (default: 12)')
    parser.add_argument('--out', default='browse.png', metavar='FILE.png',
                        help='the file to write (default: browse.png)')
    parser.add_argument('--force', action='store_true',
                        help='replace a file that exists')
    parser.add_argument('--seed', type=int, default=0,
                        help='of the augmentations (default: 0)')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)

    def run() -> None:
        from matplotlib.figure import Figure
        from mmengine.registry import DefaultScope
        from mmengine.runner import set_random_seed

        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.engine.settings import load_config, merge_options
        if args.count < 1:
            raise UserError('--count must be at least 1')
        if Path(args.out).suffix != '.png':
            raise UserError(f'--out {args.out}: name a file that ends in .png')
        check_destination(args.out, args.force)
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        scope = cfg.get('default_scope')
        set_random_seed(args.seed)
        with DefaultScope.overwrite_default_scope(scope):
            dataset, visualizer = build(cfg, args.phase)
            count = min(args.count, len(dataset))
            columns = min(4, count)
            rows = -(-count // columns)
            figure = Figure((3.2 * columns, 3.4 * rows), layout='constrained')
            panels = figure.subplots(rows, columns, squeeze=False).ravel()
            for axes in panels:
                axes.axis('off')
            for i, axes in zip(range(count), panels):
                item = dataset[i * len(dataset) // count]
                axes.imshow(drawn(item, visualizer, scope,
                                  args.phase == 'train'))
                axes.set_title(title_of(
                    item, dataset.metainfo.get('classes')), fontsize=8)
        Path(args.out).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(args.out, dpi=110)
        print(f'{args.out}: {count} of {len(dataset)} images')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
