"""The report of the quick start: one HTML file that needs nothing else."""
import os
from html import escape
from pathlib import Path
from typing import Sequence

from . import pictures
from .chart import line_chart
from .progress import clock

STYLE = """
:root {
  color-scheme: light dark;
  --page: #fbfbf9; --ink: #1c2126; --muted: #667079; --line: #dfe2e0;
  --card: #fff; --accent: #1f6fb2; --good: #1b7f4b; --bad: #b3372f;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --ink: #e4e7e9; --muted: #98a2aa; --line: #30363b;
    --card: #1b1f23; --accent: #6cb2ee; --good: #5fc792; --bad: #ee8279;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 60rem; padding: 2.5rem 1.25rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
}
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; max-width: 44rem; }
.muted, figcaption, th { color: var(--muted); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
th { font-weight: 500; font-size: .85rem; text-align: left; }
th, td { padding: .45rem .9rem .45rem 0; vertical-align: top;
  border-bottom: 1px solid var(--line); }
th.n, td.n { text-align: right; white-space: nowrap; }
td small { color: var(--muted); display: block; }
td strong { font-size: 1.1rem; }
td .good, td .bad { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
.verdict { border-left: 4px solid; padding: .1rem 0 .1rem .8rem;
  margin: 1.2rem 0; font-weight: 600; }
figure { margin: 1rem 0; }
figcaption { padding-top: .35rem; font-size: .9rem; }
p code { overflow-wrap: anywhere; }
svg, .scene { background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
svg { width: 100%; max-width: 44rem; height: auto; padding: .4rem;
  display: block; }
svg text { fill: var(--muted); font-size: 12px; }
svg text.mark { fill: var(--accent); }
svg .grid { stroke: var(--line); }
svg line.mark { stroke: var(--accent); stroke-dasharray: 2 3; opacity: .6; }
svg .curve { fill: none; stroke: var(--accent); stroke-width: 2;
  stroke-linejoin: round; }
.scenes { display: grid; gap: .8rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); }
.scene { overflow: hidden; margin: 0; padding: 0; }
.wide { grid-column: 1 / -1; }
.scene img { width: 100%; max-height: 20rem; object-fit: contain;
  display: block; }
.halves { display: grid; grid-template-columns: 1fr 1fr; text-align: center;
  font-size: .8rem; padding: .15rem; }
.digits { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); }
.digits figure { margin: 0; }
.digits img { width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 6px; display: block; }
.digits figcaption { font-size: .85rem; line-height: 1.35;
  padding-top: .25rem; }
code, pre { font: .85rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; }
td code { overflow-wrap: anywhere; }
"""


def write_report(result: dict, path: Path) -> Path:
    """Write the report, whole or not at all.

    Args:
        result: What ``quickstart.conclude`` has put together.
        path: The HTML file.
    """
    new = path.with_name(path.name + '.new')
    new.write_text(page(result), encoding='utf-8')
    os.replace(new, path)
    return path


def page(result: dict) -> str:
    """The whole report as HTML."""
    experiments = result['experiments']
    parts = [
        heading(result), results(experiments),
        *(experiment(one) for one in experiments),
        what_next(result), run(result), machine(result)]
    body = '\n'.join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'\n<title>HPViT quick start</title>\n<style>{STYLE}</style>\n'
        f'</head>\n<body>\n{body}\n</body>\n</html>\n')


# -------------------------------------------------------------------- sections


def heading(result: dict) -> str:
    """What this is, and the verdict."""
    experiments = result['experiments']
    missed = [one['name'] for one in experiments if not one['reached']]
    if missed:
        kind, verdict = 'bad', (
            f'{len(missed)} of {len(experiments)} experiments missed their '
            f'floor: {", ".join(missed)}.')
    else:
        kind, verdict = 'good', (
            f'All {len(experiments)} experiments reach their floor.')
    begin = ''
    if all(one['starts_from'] for one in experiments):
        begin = ('Their backbones begin with the weights of a small plain ViT '
                 'that ships with the code, regrouped as they are loaded.')
    return f"""<h1>HPViT quick start</h1>
<p>Four small hierarchical vision transformers were trained with the same
tools, data layouts and metrics as the full experiments, and tested on pictures
that they had never seen. {begin}</p>
<p>The pictures are miniature scenes of real handwritten
digits over real photographs: the numbers show that everything works and learns
on this machine; they claim nothing about the full data sets.</p>
<p class="verdict {kind}">{escape(verdict)}</p>
<p class="muted">Finished {escape(result['finished'])}, after
{clock(result['seconds'])} (minutes and seconds) of work.</p>"""


def results(experiments: Sequence[dict]) -> str:
    """The table of metrics."""
    rows = []
    for one in experiments:
        def level(name, one=one):
            return escape(one['format'].format(one[name]))

        mark = ('<span class="good">&#10003; reached</span>'
                if one['reached'] else
                '<span class="bad">&#10007; missed</span>')
        rows.append(
            f'<tr><td>{escape(one["task"])}</td>'
            f'<td>{one["train_pictures"]} + {one["val_pictures"]}'
            f'<small>{len(one["classes"])} classes</small></td>'
            f'<td>{escape(one["metric"])}</td>'
            f'<td class="n">{level("untrained")}</td>'
            f'<td class="n">{level("chance")}</td>'
            f'<td class="n"><strong>{level("trained")}</strong></td>'
            f'<td class="n">{level("floor")}</td><td>{mark}</td></tr>')
    means = '; '.join(dict.fromkeys(
        f'{one["metric"]}: {one["chance_means"]}' for one in experiments))
    return f"""<div class="scroll"><table>
<tr><th>task</th><th>pictures<br>training + validation</th><th>metric</th>
<th class="n">untrained</th><th class="n">chance</th><th class="n">trained</th>
<th class="n">floor</th><th></th></tr>
{chr(10).join(rows)}
</table></div>
<p class="muted">All on the validation split, by the metrics of the host
libraries. Untrained: the model as its training begins, with a new head on the
weights that are named below. Chance: what knowing nothing but the labels'
frequencies gives ({escape(means)}). Floor:
what this quick start promises.</p>"""


def experiment(one: dict) -> str:
    """One task: its curve and its pictures."""
    form = one['format'].format
    marks = [(x, form(y)) for x, y in one['curves']['metric']]
    chart = line_chart(one['curves']['loss'], 'iterations', 'training loss',
                       marks)
    shown = digits(one) if one['predictions'] else scenes(one)
    begin = 'random weights' if one['starts_from'] is None else \
        f'the weights of <code>{escape(one["starts_from"])}</code>'
    return f"""<h2>{escape(one['task'])}</h2>
<p>{one['train_pictures']} pictures for training, {one['val_pictures']} for
validation; classes: {escape(', '.join(one['classes']))}. Trained from {begin}
in {clock(one['seconds'])} minutes: <code>{escape(one['config'])}</code></p>
<figure>{chart}<figcaption>Training loss. Dashed: {escape(one['metric'])} on
the validation split during training.</figcaption></figure>
{shown}"""


def digits(one: dict) -> str:
    """Pictures of one object each, with captions."""
    found = pictures.digits(one['predictions'], one['classes'])

    def cell(kind, sign, item):
        words = item['truth'] if kind == 'good' else \
            f'{item["truth"]}, taken for {item["prediction"]}'
        return (f'<figure><img src="{item["picture"]}" alt="">'
                f'<figcaption><span class="{kind}">{sign}</span> '
                f'{escape(words)}, {100 * item["score"]:.0f} %'
                '</figcaption></figure>')

    right = ''.join(cell('good', '&#10003;', item)
                    for item in found['right'])
    wrong = ''.join(cell('bad', '&#10007;', item) for item in found['wrong'])
    parts = ['<h3>Recognised</h3><p class="muted">Validation pictures, evenly '
             'spaced in the list, with the ground truth and the score of the '
             f'prediction.</p><div class="digits">{right}</div>']
    number = found['number_wrong']
    if number:
        some = '' if number <= len(found['wrong']) else \
            f', of which {len(found["wrong"])} are shown'
        parts.append(
            f'<h3>Mistakes</h3><p class="muted">{number} of '
            f'{found["number"]}{some}: the ground truth, and what it was '
            f'taken for.</p><div class="digits">{wrong}</div>')
    else:
        parts.append(f'<p>No mistake among {found["number"]} pictures.</p>')
    return '\n'.join(parts)


def scenes(one: dict) -> str:
    """Pairs of pictures as the host's visualiser draws them."""
    cells = ''.join(
        f'<figure class="scene{" wide" if aspect > 3 else ""}">'
        '<figcaption class="halves"><span>ground truth</span>'
        f'<span>prediction</span></figcaption><img src="{picture}" '
        'alt="ground truth and prediction"></figure>'
        for picture, aspect in pictures.scenes(one['pictures']))
    return f"""<h3>Ground truth and prediction</h3>
<p class="muted">Validation pictures at even distances in the list, not the
best ones, as the host library draws them in
<code>{escape(one['pictures'])}</code>.</p>
<div class="scenes">{cells}</div>"""


def what_next(result: dict) -> str:
    """Commands to go on with."""
    commands = '\n\n'.join(
        f'# {words}\n' + command.replace(' --', ' \\\n    --')
        for words, command in result['next'])
    return f'<h2>What to try next</h2>\n<pre>{escape(commands)}</pre>'


def run(result: dict) -> str:
    """The commands and their times."""
    rows = ''.join(
        f'<tr><td>{escape(step["title"])}<small><code>'
        f'{escape(step["command"])}</code></small></td>'
        f'<td class="n">{clock(step["seconds"])}</td></tr>'
        for step in result['steps'])
    return f"""<h2>What was run</h2>
<div class="scroll"><table><tr><th>step</th><th class="n">time (m:ss)</th></tr>
{rows}
<tr><td>together</td><td class="n">{clock(result['seconds'])}</td></tr>
</table></div>"""


def machine(result: dict) -> str:
    """The machine and the versions."""
    about = result['machine']
    facts = {
        'processor': f'{about["processor"]}, {about["cores"]} cores usable',
        'memory': f'{about["memory_gb"]} GiB' if about['memory_gb'] else '-',
        'GPU': about['gpu'] or 'none used',
        'system': about['system'],
        **{name: version or '-'
           for name, version in result['versions'].items()}}
    rows = ''.join(f'<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>'
                   for name, value in facts.items())
    return f"""<h2>Machine and versions</h2>
<div class="scroll"><table>{rows}</table></div>"""
