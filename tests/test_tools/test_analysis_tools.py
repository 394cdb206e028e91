"""What the tools of tools/analysis refuse, before any work."""
import torch


def test_benchmark_refuses(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    name, suite = 'analysis/benchmark', ('--suite', 'cls')
    status, err = tool(name, '--suite', 'all')
    assert status == 2 and 'dense' in err
    for rounds in ('0', '-1', 'many'):
        status, err = tool(name, *suite, '--rounds', rounds)
        assert status == 2 and '--rounds' in err
    status, err = tool(name, *suite, '--device', 'cuda')
    assert status == 2 and 'no GPU' in err
    (tmp_path / 'x.json').write_text('mine')
    status, err = tool(name, *suite, '--json', tmp_path / 'x.json')
    assert status == 2 and '--force' in err
    assert (tmp_path / 'x.json').read_text() == 'mine'
