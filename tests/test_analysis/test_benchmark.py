"""Timing side by side, without looking at times."""
import pytest
import torch

from hpvit_mm.analysis.benchmark import (Options, preprocessing,
                                         segmentation)
from hpvit_mm.analysis.benchmark.networks import HostHPViT
from hpvit_mm.analysis.benchmark.timing import (check_equal, check_same,
                                                ratios, saved_bytes,
                                                take_turns)
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

MINI = dict(embed_dims=32, num_layers=4, num_heads=2, feedforward_channels=64)


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


def test_around_the_network(monkeypatch):
    """A row for each side of each pair, after they proved equal."""
    monkeypatch.setattr(segmentation, 'CLASSES', 4)
    monkeypatch.setattr(preprocessing, 'BATCHES',
                        {'2 images': ([(9, 8), (5, 7)], 1)})
    for module, pairs in ((segmentation, 5), (preprocessing, 4)):
        rows = module.run(Options(rounds=1))
        assert [row['variant'] == 'ours' for row in rows] \
            == [False, True] * pairs
        assert len({row['case'] for row in rows}) == pairs


def test_all_take_turns():
    calls = []
    times = take_turns({name: lambda name=name: calls.append(name)
                        for name in 'abc'}, rounds=5)
    assert [sorted(calls[i:i + 3]) for i in range(0, 18, 3)] \
        == [['a', 'b', 'c']] * 6  # one for warm-up
    assert len({tuple(calls[i:i + 3]) for i in range(3, 18, 3)}) > 1
    assert all(len(one) == 5 for one in times.values())


def test_ratios():
    times = dict(slow=[4., 6., 8.], fast=[2., 2., 2.])
    assert ratios(times, 'slow', 'fast') == (3, 2, 4)


def test_what_is_kept():
    """The input, once, and no weights; a ReLU keeps its output."""
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.ReLU())
    assert saved_bytes(model, torch.randn(5, 8)) == 2 * 5 * 8 * 4
