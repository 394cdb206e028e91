"""The tables, metafiles and lines that tell of all experiments.

They are made from the configs, and compared with them by a test: a new config
appears everywhere by ``tools/model_zoo.py --write``.
"""
import ast
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List

import yaml
from mmengine.config import Config

from hpvit_mm.engine.settings import load_config
from hpvit_mm.errors import UserError
from .cost import FLOPS_PER_SECOND, TRAINING_PASSES, Cost, batch_of, cost_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = 'docs/model_zoo.md'

# Folder in configs/ -> its data set, as model indices call it.
SETS = {
    'imagenet': 'ImageNet-1k',
    'coco': 'COCO',
    'ade20k': 'ADE20K',
    'cityscapes': 'Cityscapes',
}

BLOCK = re.compile(
    r'(<!-- model_zoo:begin ?(\w*) -->\n).*?(<!-- model_zoo:end -->)', re.S)
COST = re.compile(r'^Cost {6}.*\n(?: {10}.*\n)*', re.M)
RESULT = re.compile(r'^Result {4}(.*(?:\n {10}.*)*)', re.M)

HEADER = """\
# Made by tools/model_zoo.py --write. FLOPs are multiply-adds of a forward pass
# of an image in training, heads included; paths are relative to the
# repository.
"""
HPVIT = {
    'Title': 'Rethinking Hierarchies in Pre-trained Plain Vision Transformer',
    'URL': 'https://arxiv.org/abs/2211.01785',
}
MAE = {
    'Title': 'Masked Autoencoders Are Scalable Vision Learners',
    'URL': 'https://arxiv.org/abs/2111.06377',
}


@dataclass(frozen=True)
class Experiment:
    """A config, what it costs, and what came of it.

    Attributes:
        path: The config, relative to the repository.
        cfg: The config, read.
        cost: What it costs.
        result: What its head states as result.
    """
    path: str
    cfg: Config
    cost: Cost
    result: str

    @property
    def name(self) -> str:
        return Path(self.path).stem


def write(root: Path = ROOT) -> List[str]:
    """Bring everything up to date; return the files that were changed."""
    changed = stale(root)
    for path, text in changed.items():
        (root / path).write_text(text)
    return list(changed)


def check(root: Path = ROOT) -> None:
    """Raise a UserError that names the files that are not up to date."""
    files = list(stale(root))
    if files:
        raise UserError(
            f'{", ".join(files)} {"is" if len(files) == 1 else "are"} not up '
            'to date; run tools/model_zoo.py --write')


def stale(root: Path) -> Dict[str, str]:
    """The files that are not up to date, with what should be in them."""
    return {path: text for path, text in fresh(root).items()
            if text != read(root / path)}


def fresh(root: Path) -> Dict[str, str]:
    """All files that are made here, or of which a part is."""
    index = [f'configs/{folder}/metafile.yml' for folder in SETS]
    made = {'model-index.yml': yaml.safe_dump({'Import': index})}
    tables = {folder: experiments(folder, root) for folder in SETS}
    for folder, ones in tables.items():
        readme = f'configs/{folder}/README.md'
        made[readme] = with_tables(read(root / readme), readme, {'': ones})
        made[f'configs/{folder}/metafile.yml'] = model_index(folder, ones)
        for one in ones:
            made[one.path] = with_cost(read(root / one.path), one)
    made[PAGE] = with_tables(read(root / PAGE), PAGE, tables)
    return made


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ''


def experiments(folder: str, root: Path = ROOT) -> List[Experiment]:
    """Those of a data set; those with the same recipe are neighbours."""
    found = []
    for path in sorted((root / 'configs' / folder).glob('*.py'),
                       key=lambda path: path.stem.split('_', 1)[::-1]):
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


def with_tables(text: str, path: str,
                tables: Dict[str, List[Experiment]]) -> str:
    """The text of a page with fresh tables between its markers.

    Args:
        text: The page.
        path: Where it lies, relative to the repository.
        tables: What stands behind ``begin`` in a marker -> its rows.
    """
    found = sorted(name for _, name, _ in BLOCK.findall(text))
    if found != sorted(tables):
        begin = ' and '.join(
            f'<!-- {" ".join(f"model_zoo:begin {name}".split())} -->'
            for name in tables)
        raise UserError(f'{path} must have, each once and each with a later '
                        f'<!-- model_zoo:end -->: {begin}')
    return BLOCK.sub(
        lambda match: match[1] + table(tables[match[2]], path) + match[3],
        text)


def table(ones: Iterable[Experiment], page: str) -> str:
    """A table in Markdown; links are relative to the page."""
    lines = [
        '| config | parameters, M | backbone, GMACs: nominal / executed '
        '| heads, GMACs | GiB a GPU | EFLOPs | GPU hours | result |',
        '|---|--:|--:|--:|--:|--:|--:|---|',
    ]
    for one in ones:
        cost = one.cost
        link = os.path.relpath(one.path, Path(page).parent)
        cells = (
            f'[{one.name}]({link})',
            number(cost.parameters / 1e6),
            f'{number(cost.macs("nominal") / 1e9)} / '
            f'{number(cost.macs() / 1e9)}',
            number(cost.heads / 1e9),
            number(cost.memory / 2**30) if cost.trains else '',
            number(cost.flops / 1e18),
            number(cost.gpu_hours),
            one.result,
        )
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def number(value: float) -> str:
    """About three digits."""
    if value >= 100:
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 1 else f'{value:.2g}'


# ------------------------------------------------------ the heads of configs


def with_cost(text: str, one: Experiment) -> str:
    """The text of a config with a fresh statement of its cost."""
    if not COST.search(text):
        raise UserError(f"{one.path}: its docstring has no line 'Cost      "
                        "...'; add one, the rest is done by tools/"
                        'model_zoo.py --write')
    return COST.sub(lambda _: statement(one.cost) + '\n', text, count=1)


def statement(cost: Cost) -> str:
    """The cost in a few lines, with the arithmetic behind it."""
    def macs(*args, **kwargs):
        return number(cost.macs(*args, **kwargs) / 1e9)

    heads = number(cost.heads / 1e9)
    if not cost.trains:
        text = (f'2 x ({macs()} + {heads}) GFLOPs (backbone, heads) x '
                f'{cost.images:,} images')
    else:
        times = 2 * TRAINING_PASSES
        if cost.macs(frozen=True):
            whole = [f'2 x {macs(frozen=True)}']
            if cost.macs(frozen=False):
                whole += [f'{times} x ({macs(frozen=False)} + {heads})']
            else:
                whole += [f'{times} x {heads}']
            names = 'frozen, trained'
        else:
            whole = [f'{times} x ({macs()} + {heads})']
            names = 'backbone, heads'
        if cost.macs('recomputed'):
            whole += [f'2 x {macs("recomputed")}']
            names += '; recomputed'
        text = (f'{" + ".join(whole)} GFLOPs ({names}) x {cost.images:,} '
                f'images x {cost.rounds:,} {cost.unit}s')
    text += (f' = {number(cost.flops / 1e18)} EFLOPs, '
             f'{number(cost.gpu_hours)} GPU hours at '
             f'{FLOPS_PER_SECOND / 1e12:.0f} TFLOP/s')
    if cost.trains:
        text += f'; {number(cost.memory / 2**30)} GiB a GPU'
    return textwrap.fill(
        f'{text} (tools/model_zoo.py; not measured)', 79,
        initial_indent='Cost      ', subsequent_indent=' ' * 10)


# ---------------------------------------------------------- the model index


def model_index(folder: str, ones: Iterable[Experiment]) -> str:
    """The metafile of a data set, as OpenMMLab's model index has it."""
    data_set = SETS[folder]
    collections = [
        {
            'Name': f'{name} on {data_set}',
            'Paper': dict(paper),
            # modelindex looks for it beside this file
            'README': 'README.md',
            'Code': 'hpvit_mm/models/backbones/hpvit.py',
        } for name, paper in (('HPViT', HPVIT), ('Plain ViT', MAE))
    ]
    models = []
    for one in ones:
        cost = one.cost
        plain = len(cost.stages) == 2  # the embedding and one stage
        metadata = {
            'Training Data': data_set,
            'FLOPs': cost.macs() + cost.heads,
            'Parameters': cost.parameters,
        }
        if cost.trains:
            by = 'Epochs' if cost.unit == 'epoch' else 'Iterations'
            metadata[by] = cost.rounds
            metadata['Batch Size'] = batch_of(one.cfg)
        models.append({
            'Name': one.name,
            'In Collection': collections[plain]['Name'],
            'Metadata': metadata,
            'Config': one.path,
        })
    return HEADER + yaml.safe_dump(
        {'Collections': collections, 'Models': models}, sort_keys=False)


# ----------------------------------------------------------- one experiment


def explain(path: str) -> str:
    """The cost of a config, part by part."""
    cost = cost_of(load_config(path))
    lines = [
        path,
        f'an image of {cost.size[0]} x {cost.size[1]}, '
        f'{cost.parameters / 1e6:,.1f} M parameters, '
        f'{cost.backbone / 1e6:,.1f} M of them in the backbone and '
        f'{cost.trained / 1e6:,.1f} M trained',
        f'{"GMACs":10}{"nominal":>10}{"executed":>10}{"recomputed":>12}',
    ]
    for stage in cost.stages:
        lines.append(f'{stage.name:10}{stage.nominal / 1e9:10,.2f}'
                     f'{stage.executed / 1e9:10,.2f}'
                     f'{stage.recomputed / 1e9:12,.2f}'
                     + ('  frozen' if stage.frozen else ''))
    lines += [
        f'{"backbone":10}{cost.macs("nominal") / 1e9:10,.2f}'
        f'{cost.macs() / 1e9:10,.2f}{cost.macs("recomputed") / 1e9:12,.2f}',
        f'{"heads":20}{cost.heads / 1e9:10,.2f}',
        statement(cost),
    ]
    return '\n'.join(lines)
