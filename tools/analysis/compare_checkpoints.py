#!/usr/bin/env python
"""Compare two checkpoints on the same data; see --help."""
import argparse
import json
import sys
from pathlib import Path

# The package beside this folder, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402
from hpvit_mm.errors import UserError  # noqa: E402

environment.prepare()

NOTES = """\
Both are scored on test_dataloader of the first config: a classifier by its
accuracy, a segmentor by its mean IoU. The interval is that of 2000 resamplings
of the images (a paired bootstrap); it tells how the result depends on the
images, not on the seed of the training."""


def score(cfg, checkpoint: str, data, num_classes: int):
    """Score the model of a config on the images of another one's test."""
    from mmengine.device import get_device
    from mmengine.registry import DefaultScope
    from mmengine.runner import Runner

    from hpvit_mm.analysis.compare import score_images
    from hpvit_mm.analysis.inference import load_model
    from hpvit_mm.utils import progress
    model = load_model(cfg, checkpoint).to(get_device())
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        loader = Runner.build_dataloader(data.test_dataloader, seed=0)
        return score_images(model, progress(
            loader, Path(checkpoint).name, len(loader)), num_classes)


def settled(path: str, options: dict):
    """Load a config as tools/test.py does."""
    from hpvit_mm.engine.settings import (load_config, merge_options,
                                          set_mmpretrain_loading, settle)
    cfg = load_config(path)
    merge_options(cfg, options)
    if cfg.get('default_scope') not in ('mmpretrain', 'mmseg'):
        raise UserError(
            f'{path} has default_scope={cfg.get("default_scope")}: '
            'classifiers and segmentors are compared; the AP of detectors is '
            'not a sum over images')
    if cfg.default_scope == 'mmpretrain':
        set_mmpretrain_loading(cfg)
    settle(cfg)
    return cfg


def report(result: dict, count: int) -> str:
    """The result as text."""
    low, high = result['interval']
    lines = [
        '{metric}: A {a:.4f}, B {b:.4f}'.format(**result),
        f'B - A: {result["difference"]:+.4f}, 95 % from {low:+.4f} to '
        f'{high:+.4f}; contrary sign in {result["contrary"]:.1%} of the '
        'resamplings', '', f'{"class":24}{"A":>8}{"B":>8}{"B - A":>9}']
    for name, (a, b) in result['classes'].items():
        lines.append(f'{name[:23]:24}{a:8.4f}{b:8.4f}{b - a:+9.4f}')
    images = result['changed']
    lines += ['', f'{len(images)} of {result["images"]} images changed']
    for title, some in (('largest losses', images[:count]),
                        ('largest gains', images[::-1][:count])):
        some = [one for one in some if (one[2] < one[1]) == (
            title == 'largest losses')]
        lines += [f'{title}:'] * bool(some) + [
            f'  {name}: {a:.3f} -> {b:.3f}' for name, a, b in some]
    return '\n'.join(lines)


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    from hpvit_mm.engine.arguments import Options
    parser = argparse.ArgumentParser(**examples(
        'Compare two checkpoints of a classifier or a segmentor '
        'on the same images.',
        'python tools/analysis/compare_checkpoints.py a.py a.pth b.pth '
        '--config-b b.py',
        notes=NOTES))
    parser.add_argument('config', help='config of A, and of the data')
    parser.add_argument('a', metavar='A', help='a checkpoint')
    parser.add_argument('b', metavar='B', help='another one')
    parser.add_argument('--config-b', metavar='CONFIG',
                        help='config of B (default: that of A)')
    parser.add_argument('--count', type=int, default=5, metavar='N',
                        help='images to name (default: 5)')
    parser.add_argument('--json', action='store_true',
                        help='print JSON, with all changed images')
    parser.add_argument('--cfg-options', nargs='+', action=Options,
                        default={}, metavar='KEY=VALUE',
                        help='for both configs, as for tools/train.py')
    args = parser.parse_args(argv)

    def run() -> None:
        import contextlib

        from mmengine.registry import DefaultScope

        from hpvit_mm.analysis import compare
        from hpvit_mm.analysis.inference import find_classes
        cfg = settled(args.config, args.cfg_options)
        second = settled(args.config_b or args.config, args.cfg_options)
        if second.default_scope != cfg.default_scope:
            raise UserError('the configs are of two tasks: give two of one')
        with contextlib.redirect_stdout(sys.stderr):  # the libraries print
            with DefaultScope.overwrite_default_scope(cfg.default_scope):
                classes = find_classes(cfg, args.a)
            a = score(cfg, args.a, cfg, len(classes))
            b = score(second, args.b, cfg, len(classes))
        iou = cfg.default_scope == 'mmseg'
        difference, interval, contrary = compare.bootstrap(a, b, iou)
        both = [compare.per_class(one, classes) for one in (a, b)]
        value = float(compare.metric(a.hits.sum(0), a.totals.sum(0), iou))
        result = dict(
            metric='mIoU' if iou else 'accuracy', images=len(a.names),
            a=value, b=value + difference, difference=difference,
            interval=interval, contrary=contrary,
            classes={name: [one.get(name, 0.) for one in both]
                     for name in classes if any(name in one for one in both)},
            changed=compare.changed(a, b))
        print(json.dumps(result, indent=1) if args.json
              else report(result, args.count))

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
