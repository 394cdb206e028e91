#!/usr/bin/env python
"""Convert a plain ViT's checkpoint to an HPViT's, or back."""
import argparse
import json
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm.cli import run_tool  # noqa: E402



def parse(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Convert the checkpoint of a plain ViT, of any layout '
        'that is recognised, to one of HPViT; or with --to back. A training '
        'checkpoint of HPViT is stripped to its backbone.')
    parser.add_argument('checkpoint', metavar='IN', help='a file, an http(s) '
                        'address, or a folder of Hugging Face')
    parser.add_argument('out', metavar='OUT', nargs='?',
                        help='the file to write (not needed for --dry-run)')
    parser.add_argument('--to', choices=['mae', 'timm', 'mmpretrain', 'hf'],
                        help="write HPViT's tensors as those of a plain ViT")
    model = parser.add_argument_group('the HPViT')
    model.add_argument('--arch', choices=['tiny', 'small', 'base', 'large',
                                          'huge'],
                       help='stop if the checkpoint has another size')
    model.add_argument('--patch-size', type=int, default=16,
                       help='side of a patch in pixels (default: 16)')
    model.add_argument('--patch-stride', type=int, default=4,
                       help='stride of the first stage (default: 4)')
    model.add_argument('--stage-depths', type=numbers, metavar='N,N,...',
                       help="blocks per stage (default: HPViT's)")
    model.add_argument('--pooling', choices=['conv', 'avg'], default='conv')
    model.add_argument('--img-size', type=numbers, metavar='N[,N]',
                       help='resample the positions to the grid of this '
                       'image size (default: keep the grid)')
    model.add_argument('--with-cls-token', action='store_true',
                       help='keep the cls token, and registers or a '
                       'distillation token where there are any')
    source = parser.add_argument_group('the checkpoint')
    source.add_argument('--prefix', help='what precedes the names of the '
                        'encoder, where there are several')
    source.add_argument('--drop', action='append', default=[],
                        choices=['relative_position'],
                        help='leave out what HPViT cannot represent')
    source.add_argument('--patch-resize', default='pinv',
                        choices=['pinv', 'bilinear', 'pad'],
                        help='how a kernel of another size is made '
                        '(default: pinv)')
    source.add_argument('--sha256', help='the hash that the file must have, '
                        'or its first 8 digits or more')
    parser.add_argument('--format', choices=['pth', 'safetensors'],
                        help="default: what OUT's name ends in")
    parser.add_argument('--dry-run', action='store_true',
                        help='only say what would be done')
    parser.add_argument('--json', action='store_true',
                        help='print the report as JSON')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT if it exists')
    args = parser.parse_args(argv)
    if args.out is None and not args.dry_run:
        parser.error('name the file to write, OUT, or add --dry-run')
    return args


def numbers(text: str) -> list:
    """'2,2,6,2' -> [2, 2, 6, 2]"""
    return [int(one) for one in text.split(',')]


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    args = parse(argv)

    def run():
        from hpvit_mm.checkpoints.convert import convert, export
        if args.to:
            report = export(args.checkpoint, args.out, args.to, args.force,
                            args.dry_run, args.format)
            backbone = None
        else:
            size = args.img_size
            report, backbone = convert(
                args.checkpoint, args.out, args.arch, args.patch_size,
                args.patch_stride, args.stage_depths, args.pooling,
                size[0] if size and len(size) == 1 else size,
                args.with_cls_token, args.patch_resize, args.prefix,
                args.drop, args.sha256, args.format, args.dry_run, args.force)
        say(args, report, backbone)

    return run_tool(run)


def say(args: argparse.Namespace, report, backbone) -> None:
    """Print what was done, and the line of a config that uses it."""
    out = None if args.dry_run else args.out
    if args.json:
        print(json.dumps(dict(report.to_dict(), out=out, backbone=backbone),
                         indent=2))
        return
    print(report)
    if out is None:
        print('dry run: nothing was written')
        return
    print(f'written to {out}')
    if backbone:
        from hpvit_mm.checkpoints.convert import config_line
        print('in a config: model = dict(backbone='
              f'{config_line(backbone, out)})')


if __name__ == '__main__':
    sys.exit(main())
