#!/usr/bin/env python
"""Show what a masked autoencoder makes of images; see --help."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()


def reconstruct(config: str, checkpoint: str, files: list, out: str,
                seed: int = 0) -> None:
    """Write the reconstruction of images.

    Args:
        config: Config of a masked pre-training.
        checkpoint: A checkpoint of it.
        files: Images.
        out: The image to write: a row per file, with the masked image, the
            reconstruction and the image itself.
        seed: Seed of the masks.
    """
    import torch
    from mmengine.registry import DefaultScope
    from mmengine.runner import load_checkpoint
    from PIL import Image

    from hpvit_mm.checkpoints.loader import register_loaders
    from hpvit_mm.engine.settings import load_config
    from mmpretrain.registry import MODELS
    cfg = load_config(config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model).eval()
    if not hasattr(model, 'reconstruct'):
        raise UserError(f'{config} is not of a masked autoencoder: give one '
                        'of configs/pretrain')
    register_loaders()
    load_checkpoint(model, checkpoint, map_location='cpu', strict=True)
    torch.manual_seed(seed)
    side = model.neck.grid[0] * model.neck.patch_size
    mean, std = (getattr(model.data_preprocessor, name)
                 for name in ('mean', 'std'))  # (3, 1, 1), of RGB
    rows = []
    for file in files:
        try:
            image = Image.open(file).convert('RGB').resize((side, side))
        except OSError as error:
            raise UserError(f'{file} is not an image: {error}') from error
        # (H, W, 3) -> (1, 3, H, W)
        pixels = torch.frombuffer(bytearray(image.tobytes()),
                                  dtype=torch.uint8)
        inputs = (pixels.view(side, side, 3).permute(2, 0, 1)[None].float()
                  - mean) / std
        mask = model.random_mask(inputs)
        unit = model.backbone.mask_unit
        hidden = mask.repeat_interleave(unit, 1).repeat_interleave(unit, 2)
        row = (inputs.masked_fill(hidden[:, None], 0.),
               model.reconstruct(inputs, mask), inputs)
        rows.append(torch.cat(row, dim=3))  # (1, 3, H, 3 * W)
    # (1, 3, rows * H, 3 * W) -> (rows * H, 3 * W, 3)
    table = torch.cat(rows, dim=2)[0] * std + mean
    table = table.round().clamp(0, 255).byte().permute(1, 2, 0)
    Image.fromarray(table.contiguous().numpy()).save(out)
    print(f'wrote {out}: masked, reconstructed, original')


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Hide parts of images at random and let a masked '
        'autoencoder fill them in.',
        'python tools/reconstruct.py CONFIG epoch_400.pth a.jpg b.jpg'))
    parser.add_argument('config', help='config of a masked pre-training')
    parser.add_argument('checkpoint', help='checkpoint of that pre-training')
    parser.add_argument('images', nargs='+', help='image files')
    parser.add_argument('--out', default='reconstruction.png',
                        help='image to write (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of the masks (default: %(default)s)')
    args = parser.parse_args(argv)
    return run_tool(lambda: reconstruct(args.config, args.checkpoint,
                                        args.images, args.out, args.seed))


if __name__ == '__main__':
    sys.exit(main())
