#!/usr/bin/env python
"""Write a report of a training: one HTML file; see --help."""
import argparse
import base64
import io
import re
import sys
from html import escape
from pathlib import Path
from typing import Dict, Sequence

# The package and the tools beside this file, also where not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from hpvit_mm import environment  # noqa: E402
from hpvit_mm.cli import examples, run_tool  # noqa: E402

environment.prepare()

STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem }
table { border-collapse: collapse }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd;
  text-align: right }
td:first-child, th:first-child { text-align: left }
pre { background: #f6f6f6; padding: .8rem; overflow: auto; font-size: 12px }
figure { display: inline-block; margin: .3rem; font-size: 12px }
img { max-width: 100% }
"""
NOTES = """\
The report has the metrics of all validations (of detectors AP by size, too),
curves, environment and config. With a checkpoint also a table of its classes
on test_dataloader; of a classifier or a segmentor the confusion matrix (of up
to 40 classes) and the images with the worst scores."""


def metrics_table(curves: Dict[str, dict]) -> str:
    """The last and the largest value of what validations logged."""
    rows = ''.join(
        f'<tr><td>{escape(name)}</td><td>{curve[max(curve)]:.4g}</td>'
        f'<td>{max(curve.values()):.4g}</td>'
        f'<td>{max(curve, key=curve.get)}</td></tr>'
        for name, curve in sorted(curves.items())
        if is_metric(name))
    return ('<table><tr><th>metric</th><th>last</th><th>largest</th>'
            f'<th>at iteration</th></tr>{rows}</table>')


def is_metric(name: str) -> bool:
    """Whether a name in a log is that of a validation's metric."""
    return '/' in name or name in ('aAcc', 'mIoU', 'mAcc', 'mDice')


def figure_of(curves: Dict[str, dict], name: str,
              keys: Sequence[str] = ()) -> str:
    """The curves, those of plot_logs.py or some, as a part of the page."""
    from plot_logs import keys_of, plot
    data = io.BytesIO()
    plot([name], [curves], keys_of([curves], keys), False, data, 'svg')
    return f'<img src="{uri(data.getvalue(), "svg+xml")}" alt="curves">'


def uri(data: bytes, kind: str) -> str:
    """The bytes of an image as a URL."""
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'


def newest(work_dir: Path, pattern: str) -> str:
    """Text of the newest file, '' if there is none."""
    files = sorted(work_dir.glob(pattern))
    return files[-1].read_text(encoding='utf-8') if files else ''


def details(cfg, checkpoint: str, count: int = 12) -> str:
    """The classes, what they are taken for, and the worst images."""
    from compare_checkpoints import score
    from mmengine.registry import DefaultScope

    from hpvit_mm.analysis.compare import confusions, per_class
    from hpvit_mm.analysis.inference import find_classes
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        classes = find_classes(cfg, checkpoint)
    scores = score(cfg, checkpoint, cfg, len(classes))
    kind = 'IoU' if cfg.default_scope == 'mmseg' else 'accuracy'
    rows = ''.join(f'<tr><td>{escape(name)}</td><td>{value:.4f}</td></tr>'
                   for name, value in per_class(scores, classes).items())
    taken = ''.join(
        f'<tr><td>{escape(one)}</td><td>{escape(other)}</td>'
        f'<td>{share:.1%}</td></tr>'
        for one, other, share in confusions(scores, classes, count))
    matrix = matrix_of(scores.confusion, classes) if len(classes) <= 40 else ''
    values = scores.hits.sum(1) / scores.totals.sum(1).clip(min=1)
    worst = ''.join(
        f'<figure><img src="{thumbnail(scores.names[i])}" alt=""><br>'
        f'{escape(Path(scores.names[i]).name)}: {values[i]:.3f}</figure>'
        for i in values.argsort(kind='stable')[:count] if values[i] < 1)
    return (f'<h2>Classes</h2><p>{len(values)} images of test_dataloader, '
            f'<code>{escape(checkpoint)}</code></p><table><tr><th>class</th>'
            f'<th>{kind}</th></tr>{rows}</table><h2>Confusions</h2><table><tr>'
            '<th>class</th><th>taken for</th><th>share of the class</th></tr>'
            f'{taken}</table>{matrix}<h2>Worst images</h2>{worst}')


def details_of_detector(config: str, checkpoint: str) -> str:
    """The AP of each class, by COCO's evaluation."""
    import json
    import tempfile

    from hpvit_mm.engine.run import test
    from hpvit_mm.engine.settings import load_config
    from hpvit_mm.errors import UserError
    evaluator = load_config(config).get('test_evaluator')
    if not isinstance(evaluator, dict) or evaluator.type != 'CocoMetric':
        raise UserError('the classes of detectors are those of one '
                        'CocoMetric as test_evaluator: omit --checkpoint')
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'metrics.json')
        test([config, checkpoint, '--work-dir', folder, '--out',
              str(out), '--cfg-options', 'test_evaluator.classwise=True'])
        found = json.loads(out.read_text())
    rows = ''.join(
        f'<tr><td>{escape(name.split("/")[-1].removesuffix("_precision"))}'
        f'</td><td>{value:.3f}</td></tr>' for name, value in found.items()
        if name.endswith('_precision'))
    return ('<h2>Classes</h2><p>AP of masks, or of boxes if there are none, '
            f'<code>{escape(checkpoint)}</code></p><table><tr><th>class</th>'
            f'<th>AP</th></tr>{rows}</table>'
            + ('' if rows else '<p>nothing was detected in any class</p>'))


def matrix_of(confusion, classes) -> str:
    """The confusion matrix as a picture: shares of each row."""
    from matplotlib.figure import Figure
    side = 3 + len(classes) / 4
    figure = Figure((side, side), layout='constrained')
    axes = figure.add_subplot()
    axes.imshow(confusion / confusion.sum(1, keepdims=True).clip(min=1),
                cmap='Blues', vmin=0, vmax=1)
    places = range(len(classes))
    axes.set_xticks(places, classes, rotation=90)
    axes.set_yticks(places, classes)
    axes.set(xlabel='prediction', ylabel='truth')
    data = io.BytesIO()
    figure.savefig(data, format='svg')
    return f'<img src="{uri(data.getvalue(), "svg+xml")}" alt="matrix">'


def thumbnail(path: str, side: int = 160) -> str:
    """A small copy of an image."""
    from PIL import Image, ImageOps
    image = ImageOps.exif_transpose(Image.open(path)).convert('RGB')
    image.thumbnail((side, side))
    data = io.BytesIO()
    image.save(data, 'jpeg', quality=88)
    return uri(data.getvalue(), 'jpeg')


def page(work_dir: Path, curves: Dict[str, dict], more: str) -> str:
    """The report."""
    log = newest(work_dir, '*/*.log')
    system = re.search(r'System environment:\n(.*?)\n-{20,}', log, re.S)
    config = newest(work_dir, '*/vis_data/config.py')
    last = max(max(curve) for curve in curves.values())
    return f"""<!DOCTYPE html><html lang="en"><meta charset="utf-8">
<title>{escape(str(work_dir))}</title><style>{STYLE}</style>
<h1>{escape(str(work_dir))}</h1><p>{last} iterations logged.</p>
<h2>Metrics</h2>{metrics_table(curves)}
<h2>Curves</h2>{figure_of(curves, str(work_dir))}{more}
<h2>Environment</h2><pre>{escape(system[1] if system else 'not logged')}</pre>
<h2>Config</h2><details><summary>as run</summary><pre>{escape(config)}</pre>
</details></html>
"""


def write_report(work_dir: Path, out: Path, more: str = '') -> None:
    """Write the report of a training.

    Args:
        work_dir: Its work dir.
        out: The HTML file.
        more: Parts behind the curves, as HTML.
    """
    from hpvit_mm.analysis.logs import read_curves
    from hpvit_mm.utils import replacing
    text = page(work_dir, read_curves(work_dir), more)
    with replacing(out) as part:
        part.write_text(text, encoding='utf-8')


def main(argv=None) -> int:
    """Run the tool and return its exit status."""
    parser = argparse.ArgumentParser(**examples(
        'Write a report of a training, as one HTML file without '
        'external parts.',
        'python tools/analysis/report.py work_dirs/a',
        'python tools/analysis/report.py work_dirs/a --force '
        '--checkpoint work_dirs/a/epoch_8.pth',
        notes=NOTES))
    parser.add_argument('work_dir')
    parser.add_argument('--checkpoint', metavar='FILE',
                        help='score it on test_dataloader')
    parser.add_argument('--out', metavar='FILE.html',
                        help='the file to write (default: report.html in '
                        'the work dir)')
    parser.add_argument('--force', action='store_true',
                        help='replace a file that exists')
    args = parser.parse_args(argv)

    def run() -> None:
        import contextlib

        from hpvit_mm.analysis.logs import read_curves
        from hpvit_mm.checkpoints.write import check_destination
        work_dir = Path(args.work_dir)
        out = args.out or work_dir / 'report.html'
        check_destination(out, args.force)
        read_curves(work_dir)  # or an error, before the test
        more = ''
        if args.checkpoint:
            from compare_checkpoints import settled

            from hpvit_mm.engine.settings import load_config
            config = str(sorted(work_dir.glob('*/vis_data/config.py'))[-1])
            with contextlib.redirect_stdout(sys.stderr):
                if load_config(config).get('default_scope') == 'mmdet':
                    more = details_of_detector(config, args.checkpoint)
                else:
                    more = details(settled(config, {}), args.checkpoint)
        write_report(work_dir, out, more)
        print(out)

    return run_tool(run)


if __name__ == '__main__':
    sys.exit(main())
