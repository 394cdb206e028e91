#!/usr/bin/env python
"""Keep the tables of experiments up to date with the configs.

They are computed from the configs: a new config appears everywhere by
``tools/model_zoo.py --write``.
"""
import argparse
import ast
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List

import yaml

ROOT = Path(__file__).resolve().parents[1]
# The package beside this file, also where it is not installed.
sys.path.insert(0, str(ROOT))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

from mmengine.config import Config  # noqa: E402

from hpvit_mm.analysis.cost import (BF16_SPEED, FP32_SPEED,  # noqa: E402
                                    Cost, batch_of, cost_of)
from hpvit_mm.engine.settings import load_config  # noqa: E402
from hpvit_mm.utils import progress  # noqa: E402

RELATIVES_PAGE = 'docs/relatives.md'
# Network, fine-tuning, pre-training, and whether that may be of a plain ViT.
RELATIVES = (
    ('plain ViT-B', 'vit-base-mae_8xb128-100e_in1k',
     'mae_vit-base_8xb512-1600e_in1k', 'yes'),
    ('HPViT-B, convolution', 'hpvit-base-conv-mae_8xb128-100e_in1k',
     'mae_vit-base_8xb512-1600e_in1k', 'yes'),
    ('HPViT-B, average', 'hpvit-base-avg-mae_8xb128-100e_in1k',
     'mae_vit-base_8xb512-1600e_in1k', 'yes'),
    ('HiViT-B', 'hivit-base-mae_8xb128-100e_in1k',
     'mae_hivit-base_8xb512-1600e_in1k', 'no'),
    ('Swin-B, GreenMIM', 'swin-base-greenmim_8xb128-100e_in1k',
     'greenmim_swin-base_8xb256-800e_in1k', 'no'),
    ('Swin-T, UM-MAE', 'swin-tiny-w16-um-mae_8xb128-100e_in1k-256px',
     'um-mae_swin-tiny_8xb128x4-200e_in1k', 'no'),
    ('plain ViT-Tiny', 'vit-tiny-mae_8xb128-lite-300e_in1k',
     'mae_vit-tiny_8xb512-400e_in1k', 'yes'),
    ('HPViT-Tiny, convolution', 'hpvit-tiny-conv-mae_8xb128-lite-300e_in1k',
     'mae_vit-tiny_8xb512-400e_in1k', 'yes'),
    ('Hiera-Tiny 6M', 'hiera-tiny-6m-mae_8xb128-lite-300e_in1k',
     'mae_hiera-tiny-6m_8xb512-400e_in1k', 'no'),
)

# Folder in configs/ -> its data set, as model indices call it.
SETS = {
    'imagenet': 'ImageNet-1k',
    'coco': 'COCO',
    'ade20k': 'ADE20K',
    'cityscapes': 'Cityscapes',
    'pretrain': 'ImageNet-1k, pre-training',
}

BLOCK = re.compile(
    r'(<!-- model_zoo:begin -->\n).*?(<!-- model_zoo:end -->)', re.S)
COST = re.compile(r'^Cost {6}.*\n(?: {10}.*\n)*', re.M)
# Experiments on the sample data, and on data of the user's.
SMALL = re.compile('_(sample|own)-')
RESULT = re.compile(r'^Result {4}(.*(?:\n {10}.*)*)', re.M)

HEADER = """\
# Made by tools/model_zoo.py --write. FLOPs are multiply-adds of a forward pass
# of an image in training, with the heads that are counted; paths are relative
# to the repository.
"""
# Family of a backbone -> title and URL of its paper, name of its module.
FAMILIES = {
    'HPViT': (
        'Rethinking Hierarchies in Pre-trained Plain Vision Transformer',
        'https://arxiv.org/abs/2211.01785', 'backbones/hpvit'),
    'Plain ViT': (
        'Masked Autoencoders Are Scalable Vision Learners',
        'https://arxiv.org/abs/2111.06377', 'backbones/hpvit'),
    'HiViT': (
        'HiViT: A Simple and More Efficient Design of Hierarchical Vision '
        'Transformer', 'https://arxiv.org/abs/2205.14949',
        'backbones/hivit'),
    'Hiera': (
        'Hiera: A Hierarchical Vision Transformer without the '
        'Bells-and-Whistles', 'https://arxiv.org/abs/2306.00989',
        'backbones/hiera'),
    'SwinTransformer': (
        'Swin Transformer: Hierarchical Vision Transformer using Shifted '
        'Windows', 'https://arxiv.org/abs/2103.14030',
        'pretraining/greenmim'),
    'MaskedSwin': (
        'Green Hierarchical Vision Transformer for Masked Image Modeling',
        'https://arxiv.org/abs/2205.13515', 'pretraining/greenmim'),
    'UniformSwin': (
        'Uniform Masking: Enabling MAE Pre-training for Pyramid-based Vision '
        'Transformers with Locality', 'https://arxiv.org/abs/2205.10063',
        'pretraining/uniform'),
}


@dataclass(frozen=True)
class Experiment:
    """A config, its cost and its result.

    Attributes:
        path: The config, relative to the repository.
        cfg: The config, read.
        cost: Its cost.
        result: The result that its head states.
    """
    path: str
    cfg: Config
    cost: Cost
    result: str

    @property
    def name(self) -> str:
        return Path(self.path).stem


def write(root: Path) -> List[str]:
    """Bring everything up to date; return the files that were changed."""
    changed = stale(root)
    for path, text in changed.items():
        (root / path).write_text(text)
    return list(changed)


def check(root: Path) -> None:
    """Raise a UserError that names the files that are out of date."""
    files = list(stale(root))
    if files:
        raise UserError(
            f'{", ".join(files)} {"is" if len(files) == 1 else "are"} out of '
            'date; run tools/model_zoo.py --write')


def stale(root: Path) -> Dict[str, str]:
    """The files that are out of date, with the text that they should have."""
    return {path: text for path, text in fresh(root).items()
            if text != read(root / path)}


def fresh(root: Path) -> Dict[str, str]:
    """All files with tables, with up-to-date text."""
    index = [f'configs/{folder}/metafile.yml' for folder in SETS]
    made = {'model-index.yml': yaml.safe_dump({'Import': index})}
    tables = {folder: experiments(folder, root) for folder in SETS}
    for folder, ones in tables.items():
        readme = f'configs/{folder}/README.md'
        made[readme] = with_table(read(root / readme), readme, table(ones))
        made[f'configs/{folder}/metafile.yml'] = model_index(folder, ones)
        for one in ones:
            made[one.path] = with_cost(read(root / one.path), one)
    made[RELATIVES_PAGE] = with_table(
        read(root / RELATIVES_PAGE), RELATIVES_PAGE, relatives(tables))
    return made


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ''


def experiments(folder: str, root: Path) -> List[Experiment]:
    """The experiments of a data set, those with the same recipe together."""
    found = []
    paths = sorted((root / 'configs' / folder).glob('*.py'),
                   key=lambda path: path.stem.split('_', 1)[::-1])
    paths = [path for path in paths if not SMALL.search(path.stem)]
    for path in progress(paths, folder, len(paths)):
        cfg = load_config(str(path))
        relative = path.relative_to(root).as_posix()
        result = RESULT.search(ast.get_docstring(
            ast.parse(path.read_text()), clean=False) or '')
        if not result:
            raise UserError(f"{relative}: its docstring has no line 'Result "
                            "   ...'; add one, 'not yet trained' to begin")
        found.append(Experiment(relative, cfg, cost_of(cfg),
                                ' '.join(result[1].split())))
    return found


# --------------------------------------------------------------- the tables


def with_table(text: str, path: str, rows: str) -> str:
    """Return the text of the page ``path`` with its table replaced."""
    if len(BLOCK.findall(text)) != 1:
        raise UserError(f'{path} must have <!-- model_zoo:begin --> and a '
                        'later <!-- model_zoo:end -->, each once.')
    return BLOCK.sub(lambda match: match[1] + rows + match[2], text)


def table(ones: Iterable[Experiment]) -> str:
    """Return the Markdown table of a data set, for its README."""
    lines = [
        '| config | parameters, M | backbone, GMACs | heads, GMACs '
        '| GiB a GPU | EFLOPs | GPU hours | result |',
        '|---|--:|--:|--:|--:|--:|--:|---|',
    ]
    for one in ones:
        cost = one.cost
        more = '> ' if cost.uncounted else ''
        cells = (
            f'[{one.name}]({Path(one.path).name})',
            number(cost.parameters / 1e6),
            number(cost.backbone / 2e9),
            more + number(cost.heads / 2e9),
            more + number(cost.memory / 2**30) if cost.memory else '',
            more + number(cost.flops / 1e18),
            more + number(cost.gpu_hours(bf16=cost.trains)),
            one.result,
        )
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def relatives(tables: Dict[str, List[Experiment]]) -> str:
    """Return the Markdown table of networks for docs/relatives.md."""
    ones = {one.name: one for group in tables.values() for one in group}
    lines = [
        '| network | takes the weights of plain ViTs | parameters, M | GMACs '
        '| GiB a GPU | fine-tuning, GPU hours | pre-training, GPU hours '
        '| top-1 |', '|---|---|--:|--:|--:|--:|--:|---|']
    for network, tuning, training, reused in RELATIVES:
        tuned, trained = (
            f'[{number(ones[name].cost.gpu_hours(bf16=True))}]'
            f'(../{ones[name].path})'
            for name in (tuning, training))
        cost = ones[tuning].cost
        cells = (network, reused, number(cost.parameters / 1e6),
                 number(cost.backbone / 2e9),
                 number(cost.memory / 2**30) if cost.memory else '',
                 tuned, trained, ones[tuning].result)
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def number(value: float) -> str:
    """About three digits."""
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 1 else f'{value:.2g}'


# ------------------------------------------------------ the heads of configs


def with_cost(text: str, one: Experiment) -> str:
    """The text of a config with an up-to-date statement of its cost."""
    if not COST.search(text):
        raise UserError(f"{one.path}: its docstring has no line 'Cost      "
                        "...'; add one, the rest is done by tools/"
                        'model_zoo.py --write')
    return COST.sub(lambda _: statement(one.cost) + '\n', text, count=1)


def statement(cost: Cost) -> str:
    """The cost in a few lines, with the arithmetic behind it."""
    parts = [cost.backbone, cost.heads]
    more = 'more than ' if cost.uncounted else ''
    names = f'backbone, {"neck" if more else "heads"}'
    if cost.trains:
        parts.append(cost.backward)
        names += ', backward pass'
    if more:
        names += f'; not counted: {", ".join(cost.uncounted)}'
    text = (f'({" + ".join(number(one / 1e9) for one in parts)}) GFLOPs '
            f'({names}) x {cost.images:,} images')
    if cost.trains:
        text += f' x {cost.rounds:,} {cost.unit}s'
    speed = BF16_SPEED if cost.trains else FP32_SPEED
    text += (f' = {more}{number(cost.flops / 1e18)} EFLOPs, '
             f'{number(cost.gpu_hours(bf16=cost.trains))} GPU hours at '
             f'{speed / 1e12:.3g} TFLOP/s')
    if cost.trains:
        text += ' in bf16'
        if cost.memory:
            text += f'; {number(cost.memory / 2**30)} GiB a GPU'
    else:
        text += ' in fp32'
    return textwrap.fill(
        f'{text} (tools/model_zoo.py; not measured)', 79,
        initial_indent='Cost      ', subsequent_indent=' ' * 10)


# ---------------------------------------------------------- the model index


def family(cfg: Config) -> str:
    """The family of an experiment's backbone."""
    backbone = cfg.model.backbone
    if len(backbone.get('stage_depths', ())) == 1:
        return 'Plain ViT'
    return backbone.type.rpartition('.')[2]


def model_index(folder: str, ones: Iterable[Experiment]) -> str:
    """The metafile of a data set, in the format of OpenMMLab's model index."""
    data_set = SETS[folder]
    collections = [
        {
            'Name': f'{name} on {data_set}',
            'Paper': dict(Title=title, URL=url),
            # modelindex looks for it beside this file
            'README': 'README.md',
            'Code': f'hpvit_mm/models/{module}.py',
        } for name, (title, url, module) in FAMILIES.items()
        if any(family(one.cfg) == name for one in ones)
    ]
    models = []
    for one in ones:
        cost = one.cost
        metadata = {
            'Training Data': data_set,
            'FLOPs': round((cost.backbone + cost.heads) / 2),
            'Parameters': cost.parameters,
        }
        if cost.trains:
            by = 'Epochs' if cost.unit == 'epoch' else 'Iterations'
            metadata[by] = cost.rounds
            metadata['Batch Size'] = batch_of(one.cfg)
        models.append({
            'Name': one.name,
            'In Collection': f'{family(one.cfg)} on {data_set}',
            'Metadata': metadata,
            'Config': one.path,
        })
    return HEADER + yaml.safe_dump(
        {'Collections': collections, 'Models': models}, sort_keys=False)


# ------------------------------------------------------------------ the tool


def explain(path: str) -> str:
    """The cost of a config, part by part."""
    cost = cost_of(load_config(path))
    lines = [f'{path}: images of {cost.size[0]} x {cost.size[1]} pixels, '
             f'{cost.parameters / 1e6:,.1f} M parameters, '
             f'{cost.trained / 1e6:,.1f} M of them trained',
             'GFLOPs of an image:']
    for name, flops in (*cost.forward.items(),
                        ('backward pass', cost.backward)):
        lines.append(f'  {name:16}{flops / 1e9:12,.2f}')
    return '\n'.join([*lines, statement(cost)])


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Compute from the configs what the experiments cost, and '
        'compare it with the tables in configs/*/README.md and '
        'docs/relatives.md, the metafiles, and the heads of the configs. '
        'Takes a few minutes.',
        'python tools/model_zoo.py --write',
        'python tools/model_zoo.py --explain CONFIG'))
    action = parser.add_mutually_exclusive_group()
    action.add_argument('--check', action='store_true',
                        help='name the files that are out of date (default)')
    action.add_argument('--write', action='store_true',
                        help='bring them up to date')
    action.add_argument('--explain', metavar='CONFIG', nargs='+',
                        help='show the cost of configs part by part instead')
    args = parser.parse_args(argv)

    def run():
        if args.explain:
            print('\n\n'.join(map(explain, args.explain)))
        elif args.write:
            for path in write(ROOT):
                print(f'wrote {path}')
        else:
            check(ROOT)

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
