"""The command lines of tools/train.py and tools/test.py."""
import argparse
import ast
import os
from typing import Any, Optional, Sequence

from mmengine.config import DictAction

from hpvit_mm.cli import examples

NEWEST = 'newest'


class Options(DictAction):
    """``KEY=VALUE ...`` as mmengine reads it, and dicts as in a config."""

    def __call__(self, parser, namespace, values, option_string=None):
        for pair in values:
            key, _, text = pair.partition('=')
            try:
                if 'dict(' not in text and '{' not in text:
                    super().__call__(parser, namespace, [pair], option_string)
                    continue
                value = plain_value(ast.parse(text.strip(), mode='eval').body)
            except (ValueError, AssertionError, SyntaxError):
                parser.error(
                    f'{option_string} expects KEY=VALUE pairs, such as '
                    'train_dataloader.batch_size=8 or '
                    f'"a.b=dict(type=\'LN\')", but got {pair}')
            options = dict(getattr(namespace, self.dest) or {})
            setattr(namespace, self.dest, {**options, key: value})


def plain_value(node: ast.AST) -> Any:
    """Evaluate an expression of literals, lists, tuples and dicts.

    Raises:
        ValueError: If it contains anything else.
    """
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) != 'dict' or node.args:
            raise ValueError(ast.unparse(node))
        return {one.arg: plain_value(one.value) for one in node.keywords}
    if isinstance(node, ast.Dict):
        return {ast.literal_eval(key): plain_value(value)
                for key, value in zip(node.keys, node.values)}
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [plain_value(one) for one in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    return ast.literal_eval(node)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(
            f'{text} is not a non-negative integer')
    return int(text)


def parse_train(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line of tools/train.py."""
    parser = argparse.ArgumentParser(**examples(
        'Train the model of a config file.',
        'python tools/train.py CONFIG --amp --amp-dtype bfloat16',
        'python tools/train.py CONFIG --resume',
        'python tools/train.py CONFIG --cfg-options '
        'train_dataloader.batch_size=4'))
    parser.add_argument('config', help='the config file')
    _add_common(parser)
    parser.add_argument(
        '--resume', nargs='?', const=NEWEST, metavar='CHECKPOINT',
        help='continue from this checkpoint, or from the newest one in the '
        'work dir when no file is named')
    parser.add_argument(
        '--restart', action='store_true',
        help='begin anew in a work dir that has checkpoints; they are put '
        'aside')
    parser.add_argument(
        '--allow-drift', action='store_true',
        help='resume although config, data, batch size or number of '
        'processes have changed; the change is noted in the checkpoints')
    parser.add_argument(
        '--max-corrupt', type=_count, default=0, metavar='N',
        help='let other samples take the place of up to N (per process) '
        'whose image cannot be read (default: 0, the first is an error)')
    _add_amp(parser)
    parser.add_argument(
        '--auto-scale-lr', action='store_true',
        help='scale the learning rate by the real batch size over '
        'auto_scale_lr.base_batch_size')
    parser.add_argument(
        '--no-validate', action='store_true',
        help='do not validate during training')
    parser.add_argument(
        '--seed', type=int, help='seed of all random numbers')
    return _parse(parser, argv)


def parse_test(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line of tools/test.py."""
    parser = argparse.ArgumentParser(**examples(
        'Evaluate the model of a config file on its test set.',
        'python tools/test.py CONFIG epoch_100.pth',
        'python tools/test.py CONFIG epoch_100.pth --out '
        'metrics.json --show-dir images'))
    parser.add_argument('config', help='the config file')
    parser.add_argument(
        'checkpoint', nargs='?', help='the weights to evaluate')
    parser.add_argument(
        '--untrained', action='store_true',
        help='evaluate the initial weights instead of a checkpoint')
    _add_common(parser)
    _add_amp(parser)
    parser.add_argument(
        '--out', metavar='PATH',
        help='write the metrics to FILE.json, the predictions to FILE.pkl, '
        'or, for segmentation, the predicted label maps to a new folder')
    parser.add_argument(
        '--show-dir', metavar='DIR',
        help='draw ground truth and predictions into this folder (of '
        'several processes only the first one draws)')
    parser.add_argument(
        '--tta', action='store_true',
        help='test-time augmentation: tta_model and tta_pipeline of the '
        'config, or flipping where the library has a default')
    args = _parse(parser, argv)
    if (args.checkpoint is None) != args.untrained:
        parser.error('name either a CHECKPOINT or --untrained')
    return args


def _add_amp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--amp', action='store_true',
        help='compute in mixed precision (needs a GPU)')
    parser.add_argument(
        '--amp-dtype', choices=['float16', 'bfloat16'],
        help='the low precision of --amp (default: float16)')


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--work-dir', metavar='DIR',
        help='where logs and checkpoints go (default: work_dir of the '
        'config, else ./work_dirs/<name of the config>)')
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none', help='what started the processes of this run')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Options, default={},
        metavar='KEY=VALUE',
        help='change entries of the config, for example '
        'train_dataloader.batch_size=8 model.backbone.arch=large; applied '
        'last, after all other flags')
    # torch.distributed.launch passes one of these, torchrun neither
    parser.add_argument('--local_rank', '--local-rank', type=int,
                        help=argparse.SUPPRESS)


def _parse(parser: argparse.ArgumentParser,
           argv: Optional[Sequence[str]]) -> argparse.Namespace:
    args = parser.parse_args(argv)
    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
