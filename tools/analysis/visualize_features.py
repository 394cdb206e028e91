#!/usr/bin/env python
"""Draw what a backbone sees, beside its plain ViT; see --help."""
import argparse
import copy
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

NOTES = """\
Row 1: principal components of the features as colours, common to all maps.
Row 2: attention of the token at the point, in the last block of each stage;
grey are the tokens that it cannot see. Row 3: the same blocks with windows.
The plain ViT has the blocks of the pre-trained checkpoint in one stage."""


def build(entry: dict, checkpoint, **changes):
    """Build a backbone with all its maps, and load its weights."""
    from hpvit_mm.checkpoints import load_pretrained
    from mmengine.registry import MODELS
    entry = copy.deepcopy(dict(entry, out_type='featmap', **changes))
    options = entry.pop('init_cfg', None) or {}
    options = {key: value for key, value in options.items()
               if key not in ('type', 'checkpoint', 'sha256')}
    backbone = MODELS.build(entry).eval()
    load_pretrained(backbone, checkpoint, **options)
    return backbone


def backbones_of(cfg, checkpoint, plain):
    """Build the backbone of a config, its plain ViT, and one of windows.

    Args:
        cfg: The config.
        checkpoint: Weights of the backbone; None: those of init_cfg.
        plain: Weights of the plain ViT; None: those of init_cfg.

    Returns:
        The three backbones; the second is None without weights for it.
    """
    entry = (cfg.get('model') or {}).get('backbone') or {}
    if not str(entry.get('type')).endswith('HPViT'):
        raise UserError(f'model.backbone.type is {entry.get("type")}: this '
                        'tool draws HPViT')
    pretrained = (entry.get('init_cfg') or {}).get('checkpoint')
    if not (checkpoint or pretrained):
        raise UserError('model.backbone.init_cfg names no weights: give '
                        '--checkpoint')
    every = dict(out_indices=None, out_blocks=None)
    try:
        own = build(entry, checkpoint or pretrained, **every)
    except UserError:  # a trained one has norms of its outputs alone
        every = {}
        own = build(entry, checkpoint or pretrained)
    depth = sum(own.stage_depths)
    kinds = [('window' if kind != 'global' else kind) for stage in
             own.attention for kind in stage]
    windows = build(entry, checkpoint or pretrained, attention=_staged(
        own.stage_depths, kinds), **every)
    plain = plain or pretrained
    one_stage = plain and build(
        entry, plain, patch_stride=own.patch_size, stage_depths=(depth, ),
        attention='global', out_indices=None, out_blocks=None, with_cp=False)
    return own, one_stage, windows


def _staged(depths, kinds):
    kinds = iter(kinds)
    return [[next(kinds) for _ in range(depth)] or 'global'
            for depth in depths]


def normalised(path: str, side: int, preprocessor: dict):
    """Read an image, with its short side resized.

    Returns:
        The image (H, W, 3) in RGB, and the normalised tensor (1, 3, H, W).
    """
    import mmcv
    import numpy as np
    import torch
    try:
        image = mmcv.imread(path)
    except Exception:  # each decoder has its own
        image = None
    if image is None:
        raise UserError(f'{path} cannot be read: give an image')
    height, width = image.shape[:2]
    scale = side / min(height, width)
    image = mmcv.imresize(image, (round(width * scale),
                                  round(height * scale)))
    rgb = np.ascontiguousarray(image[..., ::-1])
    flipped = preprocessor.get('to_rgb') or preprocessor.get('bgr_to_rgb')
    x = torch.tensor(rgb if flipped else image).float()
    mean, std = (torch.tensor(preprocessor.get(key) or default).float()
                 for key, default in (('mean', [0.] * 3), ('std', [1.] * 3)))
    # (H, W, 3) -> (1, 3, H, W)
    return rgb, ((x - mean) / std).permute(2, 0, 1)[None]


def draw(path: str, image, x, models, point, out: Path) -> None:
    """Draw the figure of an image."""
    import torch
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from hpvit_mm.analysis.features import attention_from, pca_colours
    own, plain, windows = models
    with torch.no_grad():
        maps = [one[0] for one in own(x)]
        plain_maps = [one[0] for one in plain(x)] if plain else []
    colours = pca_colours(plain_maps + maps)
    columns = 1 + len(plain_maps) + len(own.stages)
    height, width = image.shape[:2]
    figure = Figure((2.4 * columns, 0.4 + 3 * (2.4 * height / width + 0.3)),
                    layout='constrained')
    axes = figure.subplots(3, columns, squeeze=False)
    for one in axes.flat:
        one.axis('off')

    def show(row, column, picture, title):
        axes[row][column].axis('on')
        axes[row][column].imshow(picture, interpolation='nearest',
                                 extent=(0, width, height, 0))
        axes[row][column].set(xticks=(), yticks=())
        axes[row][column].set_title(title, fontsize=9)

    show(0, 0, image, Path(path).name)
    axes[0][0].plot(point[1], point[0], 'r+', markersize=10)
    first = 1 + len(plain_maps)
    if plain:
        show(0, 1, colours[0], f'plain ViT, 1/{plain.strides[0]}')
    for name, stride, picture in zip(own.norms, own.out_strides,
                                     colours[len(plain_maps):]):
        where = f'stage {int(name) + 1}' if name.isdecimal() else name
        column = own.strides.index(stride)
        show(0, first + column, picture, f'HPViT, {where}, 1/{stride}')

    palette = colormaps['inferno'].with_extremes(bad='0.75')

    def attention(row, backbone, column, words):
        found, number = attention_from(backbone, x, point), -1
        for stage in range(len(backbone.stages)):
            number += len(backbone.stages[stage].blocks)
            if not backbone.stages[stage].blocks:
                continue
            kind, weights = found[number]
            # the square root shows small weights, too
            picture = torch.sqrt(weights / weights.nan_to_num().max())
            show(row, column + stage, palette(
                torch.where(weights.isnan(), torch.nan, picture).numpy()),
                f'{words}block {number + 1}: {kind}')
            axes[row][column + stage].plot(point[1], point[0], 'c+',
                                           markersize=8)

    if plain:
        attention(1, plain, 1, 'plain, ')
    attention(1, own, first, '')
    attention(2, windows, first, '')
    figure.savefig(out, dpi=110)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Draw the features of each level of an HPViT and of its '
        'plain ViT, and what a token attends to.',
        'python tools/analysis/visualize_features.py CONFIG photo.jpg \\\n'
        '      --checkpoint weights.pth --point 120 80 --out features.png',
        notes=NOTES))
    parser.add_argument('config')
    parser.add_argument('image', nargs='+')
    parser.add_argument('--checkpoint', metavar='FILE',
                        help='weights of the backbone or of the model '
                        '(default: init_cfg of the config)')
    parser.add_argument('--plain', metavar='FILE', help='weights of the '
                        'plain ViT (default: init_cfg of the config)')
    parser.add_argument('--point', nargs=2, type=int, metavar=('X', 'Y'),
                        help='the token whose attention is drawn, in pixels '
                        'of the resized image (default: the centre)')
    parser.add_argument('--size', type=int, default=448, metavar='PIXELS',
                        help='short side of the image (default: 448)')
    parser.add_argument('--out', default='features.png', metavar='FILE.png',
                        help='the figure; of several images a number is '
                        'added (default: features.png)')
    parser.add_argument('--force', action='store_true',
                        help='replace files that exist')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)

    def run() -> None:
        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.engine.settings import load_config, merge_options
        out = Path(args.out)
        if out.suffix != '.png':
            raise UserError(f'--out {out}: name a file that ends in .png')
        if args.size < 64:
            raise UserError('--size must be at least 64 pixels')
        outs = [out] if len(args.image) == 1 else [
            out.with_name(f'{out.stem}_{i}{out.suffix}')
            for i in range(1, len(args.image) + 1)]
        for one in outs:
            check_destination(one, args.force)
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        models = backbones_of(cfg, args.checkpoint, args.plain)
        preprocessor = cfg.model.get('data_preprocessor') or cfg.get(
            'data_preprocessor') or {}
        for path, one in zip(args.image, outs):
            image, x = normalised(path, args.size, preprocessor)
            point = args.point[::-1] if args.point else [
                side // 2 for side in image.shape[:2]]
            if not all(0 <= at < side for at, side in zip(
                    point, image.shape[:2])):
                raise UserError(
                    f'--point {point[1]} {point[0]} is outside of {path}, '
                    f'which is {image.shape[1]} x {image.shape[0]} here')
            one.parent.mkdir(parents=True, exist_ok=True)
            draw(path, image, x, models, point, one)
            print(one)

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
