"""The report: sections, pictures, escaping; from invented results."""
import pickle
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpvit_mm.analysis import chart, pictures, report


@pytest.fixture
def result(tmp_path):
    rng = np.random.default_rng(0)
    drawn = tmp_path / 'pictures'
    drawn.mkdir()
    for number in range(20):
        image = Image.fromarray(
            rng.integers(0, 255, (128, 256, 3), dtype=np.uint8))
        image.save(drawn / f'{number:03d}.jpg')
    Image.fromarray(rng.integers(0, 255, (50, 70), dtype=np.uint8)).save(
        tmp_path / 'digit.png')
    samples = [dict(gt_label=[number % 2], pred_label=[int(number > 7)],
                    pred_score=[0.25, 0.75],
                    img_path=str(tmp_path / 'digit.png'))
               for number in range(10)]
    for sample in samples:  # as the host's, whose labels are tensors
        sample.update(gt_label=np.array(sample['gt_label'])[0],
                      pred_label=np.array(sample['pred_label'])[0])
    (tmp_path / 'predictions.pkl').write_bytes(pickle.dumps(samples))

    def one(name, **kwargs):
        return dict(dict(
            name=name, task=f'{name} <task>', config='configs/a.py',
            checkpoint='iter_2.pth', starts_from=None, train_pictures=100,
            val_pictures=20,
            classes=['zero', 'one'], metric='mIoU', format='{:.1f} %',
            untrained=1.23, chance=4.56, chance_means='guessing',
            trained=78.9, floor=75., reached=True, seconds=62,
            curves=dict(loss=[(50, 2.), (100, 1.)], metric=[(100, 78.9)]),
            pictures=str(drawn), predictions=None), **kwargs)

    return dict(
        finished='2026-01-02 03:04', seconds=754,
        experiments=[
            one('digits', predictions=str(tmp_path / 'predictions.pkl')),
            one('scenes', trained=70., reached=False,
                starts_from='a.pth')],
        next=[('Go on', 'python tools/train.py --a <b>')],
        steps=[dict(title='scenes: train', seconds=62, command='python x')],
        versions=dict(torch='2.13.0', mmdet=None),
        machine=dict(processor='A CPU', cores=2, memory_gb=8., gpu=None,
                     system='Linux'))


class Checker(HTMLParser):
    """Collects what is open, and what a page would fetch."""

    VOID = ('meta', 'img', 'br')

    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attrs
                         if name in ('src', 'href')]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page(result):
    page = report.page(result)
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert len(checker.sources) == 5 + 5 + 6  # right, wrong, scenes
    assert all(source.startswith('data:image/') for source in checker.sources)
    assert '<script' not in page and 'http' not in page
    for words in ('1.2 %', '4.6 %', '78.9 %', '75.0 %', 'reached', 'missed',
                  'What to try next', 'What was run', 'Machine and versions',
                  'digits &lt;task&gt;', ' \\\n    --a &lt;b&gt;', 'A CPU',
                  '2.13.0',
                  'guessing', 'they claim nothing about the full',
                  '1 of 2 experiments missed their\nfloor: scenes',
                  'taken for zero', '12:34', 'from random weights',
                  'from the weights of <code>a.pth</code>'):
        assert words.replace('\n', ' ') in page.replace('\n', ' '), words
    assert page.count('<svg') == 2
    assert len(page) < 5e6


def test_all_floors_reached(result):
    result['experiments'] = result['experiments'][:1]
    assert 'All 1 experiments reach their floor' in report.page(result)


def test_what_they_begin_with(result):
    words = 'regrouped as they are loaded'
    assert words not in report.page(result)
    result['experiments'] = result['experiments'][1:]
    assert words in report.page(result)


def test_written_whole(result, tmp_path):
    path = report.write_report(result, tmp_path / 'report.html')
    assert path.read_text().endswith('</html>\n')
    assert not list(tmp_path.glob('*.new'))


def test_mistakes(result):
    found = pictures.digits(
        Path(result['experiments'][0]['predictions']), ['zero', 'one'])
    # truth alternates; one is predicted for the last two only
    assert found['number'] == 10 and found['number_wrong'] == 5
    assert [item['truth'] for item in found['wrong']] == ['one'] * 4 + ['zero']
    assert found['right'][0]['score'] == 0.25


def test_scenes_are_evenly_spaced(result):
    folder = Path(result['experiments'][0]['pictures'])
    first = pictures.data_uri((folder / '004.jpg').read_bytes(), 'jpeg')
    found = pictures.scenes(folder, 4)
    assert len(found) == 4 and found[0] == (first, 2.)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'CMYK', 'P'])
def test_thumbnails_of_all_kinds(tmp_path, mode):
    path = tmp_path / ('a.jpg' if mode in ('L', 'CMYK') else 'a.png')
    Image.new('RGB', (30, 60), 'red').convert(mode).save(path)
    uri = pictures.thumbnail(path, 90)
    assert uri.startswith('data:image/jpeg;base64,')


@pytest.mark.parametrize('top', [0.0123, 0.9, 1, 3.2, 7, 10, 640, 0])
def test_ticks(top):
    found = chart.ticks(top)
    assert found[0] == 0 and found[-1] >= top and 2 <= len(found) <= 6


def test_chart():
    svg = chart.line_chart(
        [(1, 4.), (2, float('nan')), (3, 2.)], 'iterations', 'loss',
        [(number, f'{number} %') for number in range(1, 20)])
    points = re.search(r'points="([^"]*)"', svg)[1].split()
    assert len(points) == 2 and svg.count('<line class="mark"') == 6
    assert '19 %' in svg  # the last is always there


def test_chart_of_nothing():
    assert 'No values' in chart.line_chart([(1, float('nan'))], 'x', 'y')


def test_spread():
    assert chart.spread(list(range(10)), 5) == [1, 3, 5, 7, 9]
    assert chart.spread([1, 2], 5) == [1, 2]
