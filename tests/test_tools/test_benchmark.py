"""The benchmark: equal results first, then every suite from end to end."""
import pytest
import torch
from torch import nn

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


@pytest.fixture(autouse=True)
def importable(monkeypatch, request):
    """Import the benchmark's modules, and give the threads back."""
    folder = request.config.rootpath / 'tools' / 'benchmark'
    monkeypatch.syspath_prepend(str(folder))
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def networks(monkeypatch):
    """The module with tiny networks."""
    import networks

    def hpvit(window_size=4, attention='window', **options):
        torch.manual_seed(0)
        return HPViT(MINI, stage_depths=(1, 1, 1, 1), pooling='avg',
                     img_size=64, window_size=window_size,
                     attention=(attention, attention, 'global', 'global'),
                     **options).eval()

    plain = {networks.PLAIN: nn.Conv2d(3, 1, 16)}
    monkeypatch.setattr(networks, 'hpvit', hpvit)
    for name in ('classifiers', 'pyramids'):
        monkeypatch.setattr(networks, name, lambda *_: plain)
    return networks


@pytest.mark.parametrize('options', [{}, dict(out_type='avg_featmap')])
@pytest.mark.parametrize('relative_position', [False, True])
def test_the_host_s_network_is_the_same(networks, options, relative_position):
    ours = networks.hpvit(**options)
    host = networks.HostHPViT(ours, relative_position, 64).eval()
    x = torch.randn(1, 3, 64, 64)
    networks.check_outputs(ours, host, x)
    with torch.no_grad():
        host.layers[0].attn.proj.weight.mul_(2)
    with pytest.raises(UserError, match='cannot be compared'):
        networks.check_outputs(ours, host, x)


def test_dinov3_is_timms(importable):
    import networks
    theirs, ours = networks.dinov3s()
    networks.check_outputs(ours, theirs, torch.randn(1, 3, 48, 64))


@pytest.mark.parametrize('suite', ['cls', 'dense', 'train'])
def test_networks(suite, networks):
    from timing import Options
    rows = getattr(networks, f'run_{suite}')(Options(rounds=2))
    assert {networks.PLAIN, 'ours, windows'} <= {
        row['variant'] for row in rows}
    assert rows[0]['ratio'] == 1
    for row in rows:
        assert len(row['milliseconds']) == 2
        assert row['gmacs'] > 0 and row['images_per_second'] > 0


def test_a_failed_compile_is_a_row(networks, monkeypatch):
    from timing import Options, compare

    def broken(model):
        def call(x):
            raise RuntimeError('no compiler')
        return call

    monkeypatch.setattr(torch, 'compile', broken)
    found = networks.variants(networks.classifiers(),
                              torch.randn(1, 3, 32, 32),
                              Options(rounds=1, compile=True))
    eager, compiled = compare('a case', found, Options(rounds=1))
    assert eager['ratio'] == 1
    assert compiled['error'] == 'no compiler'


def test_refused_arguments(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    name, suite = 'benchmark/benchmark', ('--suite', 'cls')
    for argv, word in ((('--suite', 'all'), 'dense'),
                       ((*suite, '--rounds', '0'), '--rounds'),
                       ((*suite, '--device', 'cuda'), 'no GPU')):
        status, err = tool(name, *argv)
        assert status == 2 and word in err
    (tmp_path / 'x.json').write_text('mine')
    status, err = tool(name, *suite, '--json', tmp_path / 'x.json')
    assert status == 2 and '--force' in err
    assert (tmp_path / 'x.json').read_text() == 'mine'
