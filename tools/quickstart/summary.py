"""The report of the quick start: one HTML file."""
import pickle
import sys
from html import escape
from pathlib import Path
from string import Template
from typing import List, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'analysis'))

from report import figure_of, thumbnail, uri  # noqa: E402
from steps import clock  # noqa: E402

TEMPLATE = Path(__file__).with_name('summary.html')


def page(result: dict) -> str:
    """Fill the template.

    Args:
        result: What ``quickstart.conclude`` returns.
    """
    experiments, machine = result['experiments'], result['machine']
    missed = [one['name'] for one in experiments if not one['reached']]
    verdict = f'All {len(experiments)} experiments reach their floor.'
    if missed:
        verdict = (f'{len(missed)} of {len(experiments)} experiments missed '
                   f'their floor: {", ".join(missed)}.')
    facts = {
        'processor': '{processor}, {cores} usable cores'.format(**machine),
        'memory': f'{machine["memory_gb"]} GiB',
        'GPU': machine['gpu'] or 'none used', 'system': machine['system'],
        **result['versions']}
    return Template(TEMPLATE.read_text(encoding='utf-8')).substitute(
        verdict=escape(verdict), kind='bad' if missed else 'good',
        finished=result['finished'], minutes=clock(result['seconds']),
        rows=''.join(map(row, experiments)),
        chance=escape('; '.join(dict.fromkeys(
            f'{one["metric"]}: {one["chance_means"]}'
            for one in experiments))),
        experiments='\n'.join(map(experiment, experiments)),
        next=escape('\n\n'.join(
            f'# {words}\n' + command.replace(' --', ' \\\n    --')
            for words, command in result['next'])),
        steps=''.join(
            f'<tr><td>{escape(step["title"])}<small><code>python '
            f'{escape(step["command"])}</code></small></td>'
            f'<td class="n">{clock(step["seconds"])}</td></tr>'
            for step in result['steps']),
        versions=''.join(
            f'<tr><td>{escape(name)}</td><td>{escape(str(value or "-"))}</td>'
            '</tr>' for name, value in facts.items()))


def row(one: dict) -> str:
    """A row of the table of metrics."""
    untrained, chance, trained, floor = (
        escape(one['format'].format(one[level]))
        for level in ('untrained', 'chance', 'trained', 'floor'))
    mark = ('<span class="good">&#10003; reached</span>' if one['reached']
            else '<span class="bad">&#10007; missed</span>')
    return (f'<tr><td>{escape(one["task"])}</td><td>{one["train_images"]} + '
            f'{one["val_images"]}<small>{len(one["classes"])} classes</small>'
            f'</td><td>{escape(one["metric"])}</td><td class="n">{untrained}'
            f'</td><td class="n">{chance}</td><td class="n"><strong>{trained}'
            f'</strong></td><td class="n">{floor}</td><td>{mark}</td></tr>')


def experiment(one: dict) -> str:
    """One task: its curve and some of its predictions."""
    results = Path(one['results'])
    shown = digits(results, one['classes']) if results.suffix == '.pkl' \
        else scenes(results)
    return f"""<h2>{escape(one['task'])}</h2>
<p>{one['train_images']} training images, {one['val_images']} validation
images; classes: {escape(', '.join(one['classes']))}. Trained from
<code>{escape(one['weights'])}</code> in {clock(one['seconds'])} minutes:
<code>{escape(one['config'])}</code></p>
<figure>{figure_of(one['curves'], one['name'], list(one['curves']))}</figure>
<p><a href="{escape(one['report'])}">Report of this training</a></p>
{shown}"""


def digits(predictions: Path, classes: Sequence[str], count: int = 8) -> str:
    """Single objects: the label, and the predicted class with its score."""
    with open(predictions, 'rb') as file:  # written by our own step
        samples = pickle.load(file)
    right, wrong = [], []
    for sample in samples:
        truth, guess = int(sample['gt_label']), int(sample['pred_label'])
        (right if truth == guess else wrong).append(sample)

    def cell(sample):
        truth, guess = int(sample['gt_label']), int(sample['pred_label'])
        mark = ('<span class="good">&#10003;</span>' if truth == guess else
                '<span class="bad">&#10007;</span>')
        words = classes[truth] + ('' if truth == guess else
                                  f', predicted {classes[guess]}')
        score = float(sample['pred_score'][guess])
        return (f'<figure><img src="{thumbnail(sample["img_path"], 128)}" alt="">'
                f'<figcaption>{mark} {escape(words)}, {100 * score:.0f} %'
                '</figcaption></figure>')

    text = ('<h3>Correct predictions</h3><p class="muted">Validation images '
            'at even distances in the list, with their label and the score '
            'of the prediction.</p><div class="digits">'
            + ''.join(map(cell, spread(right, count))) + '</div>')
    if not wrong:
        return text + f'<p>No error among {len(samples)} images.</p>'
    return text + (
        f'<h3>Errors</h3><p class="muted">{len(wrong)} of {len(samples)} '
        f'validation images{", some of them:" if len(wrong) > count else ":"}'
        '</p><div class="digits">' + ''.join(map(cell, spread(wrong, count)))
        + '</div>')


def scenes(folder: Path, count: int = 6) -> str:
    """Images in which the host library has drawn truth and prediction."""
    paths = sorted(path for path in folder.rglob('*')
                   if path.suffix in ('.png', '.jpg'))
    cells = ''.join(
        '<figure class="scene"><figcaption><span>ground truth</span>'
        f'<span>prediction</span></figcaption><img src="'
        + uri(path.read_bytes(), 'png' if path.suffix == '.png'
                   else 'jpeg') + '" alt=""></figure>'
        for path in spread(paths, count))
    return f"""<h3>Ground truth and prediction</h3>
<p class="muted">Validation images at even distances in the list, not the best
ones, as the host library draws them in <code>{escape(str(folder))}</code>.</p>
<div class="scenes">{cells}</div>"""


def spread(items: Sequence, count: int) -> List:
    """At most ``count`` of the items, evenly spaced, the last included."""
    if len(items) <= count:
        return list(items)
    return [items[(i + 1) * len(items) // count - 1] for i in range(count)]
