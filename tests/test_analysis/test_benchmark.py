"""Timing side by side, without looking at times."""
import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import Runner
from torch.multiprocessing.reductions import StorageWeakRef

from hpvit_mm.analysis import benchmark, machine
from hpvit_mm.analysis.benchmark import (SUITES, Options, cls, dense, memory,
                                         survive, train)
from hpvit_mm.analysis.benchmark.by_stage import (KINDS, StageTimer, shares,
                                                  shares_of)
from hpvit_mm.analysis.benchmark.networks import (HostHPViT, executed_macs,
                                                  nominal_macs, variants)
from hpvit_mm.analysis.benchmark.tables import tables
from hpvit_mm.analysis.benchmark.timing import (Variant, all_cores,
                                                check_equal, check_same,
                                                compare, peak_bytes, ratios,
                                                saved_bytes, take_turns)
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

DOCS = Path(__file__).resolve().parents[2] / 'docs'
# Folder of what was measured on a machine -> its column among the targets.
MACHINES = {'performance': 3, 'performance/epyc': 4}
MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


@pytest.fixture(autouse=True)
def threads():
    """The benchmarks take one; the tests behind them get theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def mini(**options):
    torch.manual_seed(0)
    return HPViT(MINI, stage_depths=(1, 1, 1, 1), pooling='avg', img_size=64,
                 window_size=4,
                 attention=('window', 'window', 'global', 'global'),
                 **options).eval()


@pytest.mark.parametrize('options', [{}, dict(out_type='avg_featmap')])
@pytest.mark.parametrize('relative_position', [False, True])
def test_the_peer_is_the_same_network(options, relative_position):
    ours = mini(**options)
    host = HostHPViT(ours, relative_position, 64).eval()
    x = torch.randn(1, 3, 64, 64)
    assert check_equal(ours, host, x) < 1e-5


def test_different_networks_are_not_timed():
    ours = mini()
    host = HostHPViT(ours, size=64).eval()
    with torch.no_grad():
        host.layers[0].attn.proj.weight.mul_(2)
    with pytest.raises(UserError, match='cannot be compared'):
        check_equal(ours, host, torch.randn(1, 3, 64, 64))


def test_different_tensors_are_not_timed():
    one = torch.arange(3)
    check_same(one, one)
    check_same((one, one), [one, one])
    for other in (one + 1, one.view(3, 1)):
        with pytest.raises(UserError, match='cannot be compared'):
            check_same((one, one), (one, other))


def test_all_take_turns():
    calls = []
    times = take_turns({name: lambda name=name: calls.append(name)
                        for name in 'abc'}, rounds=5)
    assert [sorted(calls[i:i + 3]) for i in range(0, 18, 3)] \
        == [['a', 'b', 'c']] * 6  # one for warm-up
    assert len({tuple(calls[i:i + 3]) for i in range(3, 18, 3)}) > 1
    assert all(len(one) == 5 for one in times.values())


def test_every_second_round():
    """Ratios are those of the rounds in which both are timed."""
    calls = []
    times = take_turns({name: lambda name=name: calls.append(name)
                        for name in 'ab'}, rounds=5, every=dict(b=2))
    assert [sorted(calls[i:i + 3]) for i in (2, 5)] == [['a', 'a', 'b']] * 2
    assert [len(times[name]) for name in 'ab'] == [5, 3]
    times = dict(a=[4., 9., 6., 9., 8.], b=[2., 2., 2.])
    assert ratios(times, 'a', 'b', every=2) == (3, 2, 4)


def test_cores_are_used_only_where_nothing_is_timed():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), all_cores():
        assert torch.get_num_threads() == machine.usable_cores()
        raise KeyError
    assert torch.get_num_threads() == before


def test_ratios():
    times = dict(slow=[4., 6., 8.], fast=[2., 2., 2.])
    assert ratios(times, 'slow', 'fast') == (3, 2, 4)


def test_what_is_kept():
    """The input, once, and no weights; a ReLU keeps its output."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
    assert saved_bytes(model, torch.randn(5, 8)) == 2 * 5 * 8 * 4


def test_peak_memory_of_a_call():
    """Two results at a time, and not the weights."""
    model = torch.nn.Sequential(*[torch.nn.Linear(64, 64) for _ in range(3)])
    x = torch.randn(100, 64)

    def call():
        with torch.no_grad():
            model(x)

    result = 100 * 64 * 4
    # torch's allocations are rounded up, and the input may count
    assert 2 * result <= peak_bytes(call, model) <= 3 * result + 4096


def test_shares_by_kind():
    spent = {
        'aten::addmm': 5, 'aten::bmm': 1, 'aten::copy_': 2, 'aten::cat': 1,
        'aten::_scaled_dot_product_flash_attention_for_cpu': 3,
        'aten::gelu': 2, 'aten::native_layer_norm': 1, 'aten::add_': 4,
        'aten::empty': 1}
    assert shares_of(SimpleNamespace(key=name, self_cpu_time_total=time)
                     for name, time in spent.items()) == {
        'products of matrices': 6 / 20, 'attention': 3 / 20,
        'copies': 3 / 20, 'GELU': 2 / 20, 'LayerNorm': 1 / 20,
        'all else': 5 / 20}


def test_kinds_are_found():
    """The profiler's names are those that are looked for."""
    def found(call):
        kinds = shares(call)
        assert sum(kinds.values()) == pytest.approx(1)
        return {kind for kind in KINDS if kinds[kind]}

    one = torch.randn(10, 10)
    assert found(lambda: one.t().contiguous()) == {'copies'}
    assert found(lambda: one.mm(one)) == {'products of matrices'}
    # of one kind each
    assert found(lambda: mini()(torch.randn(1, 3, 64, 64))) == set(KINDS)


@pytest.mark.parametrize('out_type', ['featmap', 'avg_featmap'])
def test_stage_times(out_type):
    """Of the embedding and four stages, also where fc2 is called twice."""
    model = mini(out_type=out_type)
    timer = StageTimer(model)
    for _ in range(2):
        model(torch.randn(1, 3, 64, 64))
    timer.stop()
    model(torch.randn(1, 3, 64, 64))
    assert [len(times) for times in timer.times] == [5, 5]
    assert min(map(min, timer.times)) > 0


def test_work_is_counted():
    model = mini(out_type='avg_featmap')
    x = torch.empty(2, 3, 64, 64)
    nominal = nominal_macs(model, x)
    host = HostHPViT(model)
    assert executed_macs(host, x) == nominal
    # two images, four tokens for one behind each stage
    saved = 2 * sum(n * 64 * 32 for n in (192, 48, 12, 3))
    assert executed_macs(model, x) == nominal - saved
    # the image gets no gradient
    embedding = 2 * 256 * 3 * 16 * 16 * 32
    assert executed_macs(host, x, True) == 3 * nominal - embedding


def test_rows(capsys):
    model = mini(out_type='avg_featmap')
    x = torch.randn(1, 3, 64, 64)
    found = [
        *variants('one', HostHPViT(model), x, Options(), nominal_macs(
            model, x)), *variants('two', model, x, Options())]
    rows = compare('a case', found, Options(rounds=3),
                   pairs=[('one', 'two')])
    one, two, pair, peak = rows
    assert one['ratio'] == 1 and pair['base'] == 'two'
    assert pair['ratio'] == pytest.approx(1 / two['ratio'])
    assert two['worst'] <= two['best'] and len(two['milliseconds']) == 3
    assert one['nominal_gmacs'] == one['executed_gmacs']
    assert one['nominal_gmacs'] > two['executed_gmacs'] > 0
    rate = one['nominal_gmacs'] * one['images_per_second']
    assert one['nominal_share'] == pytest.approx(
        rate / peak['gmacs_per_second'])
    assert all(row['peak_mib'] > 0 for row in (one, two))
    assert 'one : two' in capsys.readouterr().out


def test_without_macs(capsys):
    rows = compare('a case', [Variant('a', lambda: None),
                              Variant('b', lambda: None)], Options(rounds=2))
    assert [row['variant'] for row in rows] == ['a', 'b']
    assert 'MAC' not in capsys.readouterr().out


@pytest.mark.parametrize('suite', [cls, dense, train])
def test_suites(suite, monkeypatch):
    """Each from end to end, of small networks."""
    def small(window_size, attention='window', **options):
        return HPViT(MINI, stage_depths=(1, 1, 1, 1), pooling='avg',
                     img_size=64, window_size=window_size,
                     attention=(attention, attention, 'global', 'global'),
                     **options).eval()

    monkeypatch.setattr(suite, 'hpvit', small)
    plain = {"mmpretrain's ViT-B/16": torch.nn.Conv2d(3, 1, 16)}
    monkeypatch.setattr(memory, 'run', list)
    for name in ('classifiers', 'pyramids'):
        monkeypatch.setattr(suite, name, lambda *_: plain, raising=False)
    rows = benchmark.run(suite.__name__.rpartition('.')[2],
                         Options(rounds=1))['rows']
    assert {"mmpretrain's ViT-B/16", 'ours, windows'} <= {
        row['variant'] for row in rows}
    stages = [row for row in rows if row['case'].endswith('by stage')]
    assert len(stages) == (0 if suite is train else 5)
    assert sum(row['share'] for row in stages) == pytest.approx(
        0 if suite is train else 1)


def test_without_onednn(monkeypatch):
    """A row of its own, where it is preferred."""
    seen = []
    cls.by_mkl(lambda: seen.append(torch.backends.mkldnn.enabled))()
    with pytest.raises(ZeroDivisionError):
        cls.by_mkl(lambda: 1 / 0)()
    assert seen == [False] and torch.backends.mkldnn.enabled
    monkeypatch.setattr(cls, 'hpvit', lambda *_, **__: mini())
    monkeypatch.setattr(cls, 'HostHPViT', lambda *_: mini())
    monkeypatch.setattr(cls, 'check_equal', lambda *_: 0)
    monkeypatch.setattr(cls, 'classifiers', dict)
    for prefers in (True, False):
        monkeypatch.setattr(cls, 'prefers_onednn', lambda: prefers)
        names = {row['variant'] for row in cls.run(Options(rounds=1))}
        assert ('ours, windows, by MKL' in names) == prefers


def test_what_survives(monkeypatch):
    """The trainings that are timed do what they are timed for."""
    monkeypatch.setattr(survive, 'hpvit', lambda _: mini())
    monkeypatch.setattr(survive, 'compute', lambda *_, **__: None)
    monkeypatch.setattr(survive, 'ITERATIONS', 3)
    monkeypatch.setattr(survive, 'WEIGHTS', 10)
    saved = []
    original = Runner.save_checkpoint
    monkeypatch.setattr(
        Runner, 'save_checkpoint', lambda self, *args, **kwargs: (
            saved.append((self.experiment_name.split()[0], self.iter)),
            original(self, *args, **kwargs)))
    rows = benchmark.run('survive', Options(rounds=1))['rows']
    assert {row['variant'] for row in rows} == {"mmengine's", 'ours'}
    assert sorted(saved) == [("mmengine's", 0), ("mmengine's", 1),
                             ('ours', 0), ('ours', 1)]


def test_nothing_is_kept_after_counting():
    """A sigmoid keeps its output, which knows what is in front of it."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sigmoid(),
                                torch.nn.Linear(8, 8))
    seen = []
    model[1].register_forward_hook(lambda _, inputs, output: seen.append(
        StorageWeakRef(output.untyped_storage())))
    saved_bytes(model, torch.randn(5, 8))
    assert seen[0].expired()


@pytest.mark.parametrize('folder', MACHINES)
@pytest.mark.parametrize('suite', sorted(SUITES))
def test_what_is_kept_was_measured(suite, folder):
    measured = json.loads((DOCS / folder / f'{suite}.json').read_text())
    assert measured['suite'] == suite and measured['rounds'] >= 7
    assert measured['seconds'] < 480


@pytest.mark.parametrize('suite', sorted(SUITES))
def test_the_document_tells_what_was_measured(suite):
    """The network's tables are of another machine than the others."""
    folder = 'performance' + (
        '/epyc' if suite in ('cls', 'dense', 'train') else '')
    measured = json.loads((DOCS / folder / f'{suite}.json').read_text())
    document = dict(data='data_speed', survive='reliability').get(
        suite, 'performance')
    text = (DOCS / f'{document}.md').read_text()
    for table in tables(measured):
        if suite == 'survive':  # which is told in other columns
            table = [table[2].split(' | ')[1]]
        for line in table:
            assert line in text


# Of the table of targets: first words, suite, variant, and its base where
# there are several.
REACHED = [
    ('classification forward', 'cls', 'ours, windows', None),
    ('dense forward', 'dense', 'ours, windows',
     "HPViT-B of mmpretrain's parts"),
    ('dense forward', 'dense', 'ours, windows',
     'the same, relative positions'),
    ('forward and backward', 'train', 'ours, windows', None),
    ('saved activations', 'train', 'ours, windows', 'saved'),
    ('dilated against', 'cls', 'ours, dilated', 'ours, windows'),
    ('optimizer dispatch', 'step', 'ours, fused', None),
]
# First words of a row of preprocessing, and the sizes of its images.
PREPROCESSED = {
    'preprocessing of 8': '8 images, 512 x 512',
    'the same, of mixed': '8 images, 400 x 333 to 512 x 512',
    'the same, at 224': '8 images, 224 x 224',
}


def reached(target, folder):
    """The machine's cell in a row of the table of targets."""
    line, = (line for line in (DOCS / 'performance.md').read_text().split(
        '## Targets')[1].splitlines() if line.startswith(f'| {target}'))
    return line.split('|')[MACHINES[folder]]


def measured_rows(suite, folder):
    return json.loads((DOCS / folder / f'{suite}.json').read_text())['rows']


@pytest.mark.parametrize('folder', MACHINES)
@pytest.mark.parametrize('target, suite, variant, base', REACHED)
def test_the_targets_tell_what_was_measured(target, suite, variant, base,
                                            folder):
    row = next(row for row in measured_rows(suite, folder)
               if row['variant'] == variant and (
                   base is None or row.get('base', 'saved') == base))
    assert f'{row["ratio"]:.2f}' in reached(target, folder)


@pytest.mark.parametrize('folder', MACHINES)
def test_the_targets_tell_the_shares_of_the_peak(folder):
    rows = {row['variant']: row for row in measured_rows('cls', folder)
            if 'nominal_share' in row}
    ours, plain = rows['ours, windows'], rows["mmpretrain's ViT-B/16"]
    for kind in ('nominal_share', 'executed_share'):
        assert f'{ours[kind] / plain[kind]:.2f}' in reached(
            'nominal share', folder)


@pytest.mark.parametrize('folder', MACHINES)
@pytest.mark.parametrize('target, sizes', PREPROCESSED.items())
def test_the_targets_tell_how_fast_preprocessing_is(target, sizes, folder):
    ratios = defaultdict(list)
    for row in measured_rows('step', folder):
        if row['variant'] == 'ours' and f' x {sizes}, ' in row['case']:
            ratios[row['base'][:-2]].append(f'{row["ratio"]:.2f}')
    assert len(ratios) == 3
    for library, two in ratios.items():
        assert f'{library} {" / ".join(two)}' in reached(target, folder)


@pytest.mark.parametrize('folder', MACHINES)
def test_the_targets_tell_how_fast_testing_is(folder):
    counts, _, labels, resized, _ = (
        f'{row["ratio"]:.2f}' for row in measured_rows('step', folder)
        if row['case'].startswith(('counts', 'labels'))
        and row['variant'] == 'ours')
    assert f' {counts} / {labels} ' in reached('mIoU', folder)
    assert resized in reached('post-processing where', folder)


@pytest.mark.parametrize('suite', sorted(SUITES))
def test_tables_have_columns(suite):
    measured = json.loads((DOCS / f'performance/{suite}.json').read_text())
    found = list(tables(measured))
    assert found
    for table in found:
        assert len(table) > 2 and len({line.count('|') for line in table}) == 1
