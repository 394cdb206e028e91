#!/usr/bin/env python
"""Print parameters and multiply-adds of a model, part by part."""
import argparse
import json
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, parse_shape, run_tool  # noqa: E402

environment.prepare()

# Name, shape, parameters and FLOPs of a part; None where not known.
Row = Tuple[str, str, int, Optional[int]]

LEGEND = """\
A MAC is a multiply-add of a matmul, a convolution or attention; papers on
vision transformers call it a FLOP. Counted is what the code executes: padding
of windows included, and less where the last linear layer of a block follows a
pooling. Heads of regions get as many regions as are sampled in training; heads
that need data (DETR's, Mask2Former's) are not counted: '-'. The shape is that
of the tokens in the blocks; of a ViT: groups x tokens x channels."""


def rows_of(model, count) -> List[Row]:
    """Rows of the parts of the backbone, if it has stages, and of the model.

    Args:
        model: The model.
        count: The :class:`Count` of its forward pass.
    """
    from hpvit_mm.models import BaseBackbone
    rows = []
    if isinstance(model.backbone, BaseBackbone):
        rows += stage_rows(model.backbone, count)
    for name, module in model.named_children():
        parameters = parameters_of(module)
        if parameters or count.forward.get(name):
            rows.append((name, '', parameters, count.forward.get(name)))
    flops = list(count.forward.values())
    return rows + [('total', '', parameters_of(model),
                    None if None in flops else sum(flops))]


def stage_rows(backbone, count) -> Iterator[Row]:
    """Rows of the stem and of the stages of a :class:`BaseBackbone`."""
    stages = [('stem', backbone.stem, ())]
    for stride, stage in zip(backbone.strides, backbone.stages):
        names = (*stage.pooling, *stage.blocks, *stage.norms)
        stages.append((f'stage 1/{stride}, {len(stage.blocks)} blocks', names,
                       [count.shapes[name] for name in stage.blocks]))
    for label, names, shapes in stages:
        texts = [' x '.join(map(str, shape[1:])) for shape in shapes]
        yield (label, ', '.join(
            f'{texts.count(one)} of {one}' if len(set(texts)) > 1 else one
            for one in dict.fromkeys(texts)),
            sum(one.numel() for name, one in backbone.named_parameters()
                if any(f'{name}.'.startswith(f'{part}.') for part in names)),
            sum(count.modules.get(name, 0) for name in names))


def parameters_of(module) -> int:
    """Number of parameters of a module."""
    return sum(one.numel() for one in module.parameters())


def table(rows: Sequence[Row]) -> str:
    """Format the rows; the last one is the total."""
    total = rows[-1][3]
    lines = [('', 'shape', 'parameters, M', 'GMACs', 'share')]
    for name, shape, parameters, flops in rows:
        gmacs = share = '-'
        if flops is not None:
            gmacs = f'{flops / 2e9:,.3f}'
            share = f'{flops / total:.1%}' if total else '-'
        lines.append((name, shape, f'{parameters / 1e6:.3f}', gmacs, share))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return '\n'.join('  '.join(
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
        for line in lines)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Print parameters and multiply-adds of a model: of each '
        'stage of a backbone of this package, or of the whole of another '
        'one, of neck and heads. Neither weights nor data are read.',
        'python tools/analysis/get_flops.py CONFIG',
        'python tools/analysis/get_flops.py CONFIG --shape 800 '
        '1216 --json'))
    parser.add_argument('config')
    parser.add_argument(
        '--shape', nargs='+', metavar='PIXELS',
        help='height and width of an image, or one number for both '
        '(default: as in the training of the config)')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='as for tools/train.py')
    parser.add_argument('--json', action='store_true',
                        help='print JSON: parameters and MACs of each part')
    args = parser.parse_args(argv)

    def run():
        from hpvit_mm.analysis.cost import input_size, skeleton
        from hpvit_mm.analysis.count import count_step
        from hpvit_mm.engine.checks.model import check_widths
        from hpvit_mm.engine.settings import load_config, merge_options
        size = parse_shape(args.shape) if args.shape else None
        cfg = load_config(args.config)
        merge_options(cfg, args.cfg_options)
        model = skeleton(cfg)
        check_widths(model)
        size = size or input_size(cfg, remedy='give --shape')
        count = count_step(model, size, train=False)
        rows = rows_of(model, count)
        if args.json:
            print(json.dumps({name: dict(
                parameters=parameters,
                macs=None if flops is None else flops // 2)
                for name, _, parameters, flops in rows}))
            return
        print(f'{args.config}, an image of {size[0]} x {size[1]} pixels\n\n'
              f'{table(rows)}\n\n{LEGEND}')

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
