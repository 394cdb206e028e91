#!/usr/bin/env python
"""Convert a plain ViT's checkpoint to an HPViT's, or back."""
import argparse
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import examples, run_tool  # noqa: E402


def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(**examples(
        'Convert the checkpoint of a plain ViT, of any family '
        'that is recognised, to one of HPViT; or with --to back. A training '
        'checkpoint of HPViT is reduced to its backbone.',
        'python tools/convert_checkpoint.py mae_pretrain_vit_base.pth '
        'hpvit-base.pth',
        'python tools/convert_checkpoint.py timm.safetensors '
        'hpvit.pth --arch dinov3-base',
        'python tools/convert_checkpoint.py hpvit.pth back.pth '
        '--to timm'))
    parser.add_argument('checkpoint', metavar='IN', help='a file, a URL '
                        '(http, https, hf), or a folder of Hugging Face')
    parser.add_argument('out', metavar='OUT', nargs='?',
                        help='file to write, .pth or .safetensors (not '
                        'needed with --dry-run)')
    parser.add_argument('--to', choices=['mae', 'timm', 'mmpretrain', 'hf'],
                        help="write HPViT's tensors as those of a plain ViT")
    model = parser.add_argument_group('the HPViT')
    model.add_argument('--arch', help="name of the architecture, as "
                       "'dinov3-base' (default: as the file tells)")
    model.add_argument('--patch-size', type=int, default=16,
                       help='side of a patch in pixels (default: 16)')
    model.add_argument('--patch-stride', type=int, default=4,
                       help='stride of the first stage (default: 4)')
    model.add_argument('--stage-depths', type=integers, metavar='N,N,...',
                       help="blocks per stage (default: HPViT's)")
    model.add_argument('--pooling', choices=['conv', 'avg'], default='avg')
    model.add_argument('--img-size', type=integers, metavar='N[,N]',
                       help='resample the positions to the grid of this '
                       'image size (default: keep the grid)')
    model.add_argument('--with-cls-token',
                       action=argparse.BooleanOptionalAction,
                       help='keep the cls token, and registers or a '
                       'distillation token where there are any (default: as '
                       'the named architecture; of an HPViT, as in the file)')
    source = parser.add_argument_group('the checkpoint')
    source.add_argument('--prefix', help='prefix of the encoder in names, '
                        'if there is more than one encoder')
    source.add_argument('--drop', action='append', default=[],
                        choices=['relative_position', 'rotary_position'],
                        help='omit what HPViT cannot represent')
    source.add_argument('--patch-resize', default='pinv',
                        choices=['pinv', 'enlarge', 'bilinear', 'pad'],
                        help='how the patch kernel is resized '
                        '(default: pinv)')
    source.add_argument('--sha256', help='SHA-256 of the file, or its first 8 '
                        'digits or more')
    parser.add_argument('--dry-run', action='store_true',
                        help='only report what would be done')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT if it exists')
    args = parser.parse_args(argv)
    if args.out is None and not args.dry_run:
        parser.error('name the file to write, OUT, or add --dry-run')
    return args


def integers(text: str) -> list:
    """'2,2,6,2' -> [2, 2, 6, 2]"""
    return [int(one) for one in text.split(',')]


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    args = parse(argv)

    def run():
        from hpvit_mm.checkpoints.convert import config_line, convert
        from hpvit_mm.checkpoints.export import export
        options = dict(vars(args))
        to = options.pop('to')
        if options.pop('dry_run'):
            options['out'] = None
        out = options['out']
        if to:
            print(export(args.checkpoint, out, to, args.force,
                         args.arch))
            backbone = None
        else:
            size = args.img_size
            options['img_size'] = size[0] if size and len(size) == 1 else size
            report, backbone = convert(**options)
            print(report)
        print(f'written to {out}' if out else 'dry run: nothing was written')
        if out and backbone:
            print('in a config: model = dict(backbone='
                  f'{config_line(backbone, out)})')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
