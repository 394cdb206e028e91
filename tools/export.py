#!/usr/bin/env python
"""Export a model to ONNX, torch.export or Hugging Face; see --help."""
import argparse
import json
import sys
from pathlib import Path

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, parse_shape, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

PARTS = ('backbone', 'features', 'model')
LEAST = 3  # units of pixels along a side, with --dynamic
NOTES = """\
OUT ends in .onnx (ONNX), .pt2 (torch.export), or is a folder (of Hugging Face,
the backbone alone).

parts:
  backbone   its maps; of a classifier's: the averaged features
  features   the backbone and the neck, such as a feature pyramid
  model      the logits of a classifier or a segmentor, without resizing

The exported program takes (batch, 3, H, W): of any batch, and of the height and
width of --shape. With --dynamic, of any height and width from three times a unit
that are multiples of it: 32 with global attention, else what makes whole windows.
Images are normalised as the file's metadata (mean, std, channels) tells. The
program is compared with PyTorch for batches of 1 and 3, with --dynamic at two
sizes."""


def part_of(model, part: str):
    """The part to export, as a module from images to tensors."""
    from torch import nn
    if part == 'model' and hasattr(model, 'rpn_head'):
        raise UserError('the regions of a detector depend on its values, and '
                        'are not exported: give --part features or backbone')

    class Part(nn.Module):
        """(B, 3, H, W) -> a tuple of tensors"""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, image):
            if part == 'backbone':
                outs = self.model.backbone(image)
            elif part == 'features':
                outs = self.model.extract_feat(image)
            else:
                outs = self.model(image, mode='tensor')
            return tuple(outs) if isinstance(outs, (list, tuple)) else (outs, )

    return Part().eval()


def whole_units(module, unit: int):
    """Cut images to whole units of pixels, which they have already.

    For torch a height is then the unit times a number, and the sizes in the
    module are simple multiples of that.
    """
    from torch import nn

    class WholeUnits(nn.Module):
        """(B, 3, H, W) -> a tuple of tensors"""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, image):
            height, width = (side // unit * unit for side in image.shape[-2:])
            return self.module(image[..., :height, :width])

    return WholeUnits()


def export(module, shapes, unit: int, out: Path, meta: dict) -> None:
    """Export a module, compare the file with it, and tell its outputs.

    Args:
        module: Images -> a tuple of tensors.
        shapes: Heights and widths to compare. The first one is exported.
        unit: Heights and widths may be multiples, from LEAST, of so many
            pixels; 0 for one shape alone.
        out: The file, .onnx or .pt2.
        meta: Its metadata, plain data.
    """
    import torch
    from torch.export import Dim

    from hpvit_mm.utils import replacing
    torch.manual_seed(0)
    meta = {key: json.dumps(value) for key, value in meta.items()}
    sizes = {0: Dim('batch')}
    if unit:
        # small maps of one token would be another program
        sizes.update({2: unit * Dim('height', min=LEAST),
                      3: unit * Dim('width', min=LEAST)})
    with torch.no_grad():
        program = torch.export.export(
            whole_units(module, unit) if unit else module,
            (torch.randn(2, 3, *shapes[0]), ), dynamic_shapes=(sizes, ))
        if out.suffix == '.pt2':
            with replacing(out) as part:
                # torch asks for the ending
                target = part.with_suffix('.pt2')
                torch.export.save(program, target, extra_files=meta)
                target.replace(part)
            run = torch.export.load(out).module()
        else:
            outputs = program.graph_signature.user_outputs
            converted = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=['image'],
                output_names=[f'output_{i}' for i in range(len(outputs))])
            converted.model.metadata_props.update(meta)
            with replacing(out) as part:
                converted.save(part)
            run = onnx_runner(out)
        difference = 0.
        for batch, shape in zip((3, 1), shapes):
            images = torch.randn(batch, 3, *shape)
            expected = module(images)
            worst = max(float((one - other).abs().max())
                        for one, other in zip(run(images), expected))
            largest = max(float(one.abs().max()) for one in expected)
            if worst > 1e-3 * max(1., largest):
                out.unlink()
                raise UserError(
                    f'the exported program differs from PyTorch by {worst:g} '
                    f'(values up to {largest:g}): report this, and use '
                    'another format')
            difference = max(difference, worst)
    if unit:
        print('at {} x {} pixels:'.format(*shape))
    for i, one in enumerate(expected):
        print(f'output {i}: ({", ".join(["batch", *map(str, one.shape[1:])])}'
              ')')
    print(f'{out}: {out.stat().st_size / 1e6:.1f} MB, differs from PyTorch '
          f'by {difference:.1e} at most')


def onnx_runner(path: Path):
    """A function that runs an ONNX file by onnxruntime."""
    import onnxruntime
    import torch
    session = onnxruntime.InferenceSession(
        str(path), providers=['CPUExecutionProvider'])
    return lambda images: [torch.from_numpy(one) for one in session.run(
        None, {'image': images.numpy()})]


def check_onnx() -> None:
    """Check that the packages for ONNX are installed."""
    missing = []
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise UserError(f'ONNX needs {", ".join(missing)}: pip install '
                        f'{" ".join(missing)}')


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Export a trained model to ONNX, torch.export or a '
        'folder of Hugging Face.',
        'python tools/export.py CONFIG CHECKPOINT backbone.onnx --shape '
        '512 512',
        'python tools/export.py CONFIG CHECKPOINT features.onnx --part '
        'features --dynamic',
        'python tools/export.py CONFIG CHECKPOINT model.pt2 --part model '
        '--shape 224',
        'python tools/export.py CONFIG CHECKPOINT my-backbone',
        notes=NOTES))
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('out', metavar='OUT')
    parser.add_argument('--part', choices=PARTS, default='backbone',
                        help='what to export (default: backbone)')
    parser.add_argument('--shape', nargs='+', metavar='PIXELS',
                        help='height and width, or one number for both '
                        '(default: as in the training of the config)')
    parser.add_argument('--dynamic', action='store_true',
                        help='export for many heights and widths; slower')
    parser.add_argument('--force', action='store_true',
                        help='replace OUT if it is a file that exists')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    args = parser.parse_args(argv)

    def run() -> None:
        from hpvit_mm.analysis.cost import input_size
        from hpvit_mm.analysis.inference import load_model
        from hpvit_mm.checkpoints import save_pretrained
        from hpvit_mm.checkpoints.convert import plain_data
        from hpvit_mm.checkpoints.write import check_destination
        from hpvit_mm.engine.settings import load_config, merge_options
        environment.check_stack()
        out = Path(args.out)
        if out.suffix not in ('', '.onnx', '.pt2'):
            raise UserError(f'{out} has an unknown ending: name FILE.onnx, '
                            'FILE.pt2 or a folder')
        check_destination(out, args.force)
        if out.suffix == '.onnx':
            check_onnx()
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        if args.dynamic and args.shape:
            raise UserError('--dynamic exports for many heights and widths: '
                            'omit --shape')
        if out.suffix and not args.dynamic:
            shapes = (parse_shape(args.shape) if args.shape else input_size(
                cfg, remedy='give --shape or --dynamic'), ) * 2
        model = load_model(cfg, args.checkpoint)
        if not out.suffix:
            if args.part != 'backbone' or args.shape or args.dynamic:
                raise UserError('a folder holds the backbone, for any shape: '
                                'omit --part, --shape and --dynamic')
            save_pretrained(
                model.backbone, plain_data(cfg.model.backbone), out, notes='\n'
                f'Weights: `{Path(args.checkpoint).name}`, trained by '
                f'`{Path(args.config).name}`.\n')
            print(out)
            return
        preprocessor = cfg.model.get('data_preprocessor') or cfg.get(
            'data_preprocessor') or {}
        flipped = preprocessor.get('to_rgb') or preprocessor.get('bgr_to_rgb')
        meta = dict(mean=preprocessor.get('mean'), std=preprocessor.get(
            'std'), channels='RGB' if flipped else 'BGR')
        unit = 0
        if args.dynamic:
            unit = getattr(model.backbone, 'size_unit', 32)
            shapes = (LEAST * unit, 4 * unit), (5 * unit, LEAST * unit)
            print(f'height and width: multiples of {unit}, from '
                  f'{LEAST * unit}')
        try:
            export(part_of(model, args.part), shapes, unit, out, meta)
        except UserError:
            raise
        except Exception as error:  # of torch, of onnx, or of onnxruntime
            if not unit:
                raise
            out.unlink(missing_ok=True)
            raise UserError(
                f'{out.name} cannot be made for many sizes '
                f'({str(error).strip().splitlines()[0]}): give --shape, or '
                'another --part or ending') from error

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
