"""The documents: commands, examples, links, and the site made of them.

Commands are parsed by their tools, and not run: that is what the tests of the
tools do, on small data, because most need a GPU and a public data set. The
pages of DINOv3 and of one's own data are run as they stand
(test_dinov3_page.py, test_own_data.py), and so is Python that needs no host.
"""
import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import torch
from dinov3_file import TINY, write_dinov3
from mmengine.config import Config
from mmengine.registry import MODELS

from hpvit_mm.checkpoints import save_pretrained
from hpvit_mm.models.backbones import archs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md',
         ROOT / 'tools/study/README.md', *sorted(ROOT.glob('docs/*.md')),
         *sorted(ROOT.glob('configs/*/README.md'))]
# launcher -> the tool behind it, and its own arguments among all
LAUNCHERS = {'dist_train.sh': ('train.py', (1, )),
             'dist_test.sh': ('test.py', (2, )),
             'slurm_train.sh': ('train.py', (0, 1, 3)),
             'slurm_test.sh': ('test.py', (0, 1)),
             'slurm_job.sh': ('train.py', (1, ))}


def blocks(kind):
    """(page, text) of all blocks of a language."""
    return [(page.relative_to(ROOT).as_posix(), text) for page in PAGES
            for text in re.findall(rf'```{kind}\n(.*?)```', page.read_text(),
                                   re.S)]


def commands():
    """(page, tool, arguments) of each command that runs a tool."""
    found, values, last = [], {}, None
    for page, text in blocks('bash'):
        if page != last:
            last, values = page, {}
        values.update(re.findall(r"^(\w+)='?(.*?)'?$", text, re.M))
        text = re.sub(r'\$(\w+)', lambda one: values.get(one[1], one[1]),
                      text.replace('\\\n', ' '))
        for line in text.splitlines():
            line = line.split(' > ')[0]  # a file takes what it prints
            words = shlex.split(line, comments=True)
            tool = next((i for i, one in enumerate(words)
                         if one.startswith('tools/')), None)
            if tool is not None:
                found.append((page, words[tool], words[tool + 1:]))
    return found


def module_of(tool):
    """A tool as a module."""
    spec = importlib.util.spec_from_file_location('tool', ROOT / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('tool', [
    path.relative_to(ROOT).as_posix() for folder in ('', 'analysis/')
    for path in sorted(ROOT.glob(f'tools/{folder}*.py'))
    if path.name != 'torchrun.py'])  # which takes those of a launcher
def test_the_help_of_a_tool_has_examples(tool, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str((ROOT / tool).parent))
    with pytest.raises(SystemExit) as ended:
        module_of(tool).main(['--help'])
    assert ended.value.code == 0
    assert f'python {tool}' in capsys.readouterr().out


@pytest.mark.parametrize('page, tool, arguments', [
    one for one in commands() if Path(one[1]).name not in (
        'quickstart.sh', 'run_tests.sh', 'setup_env.sh')])
def test_a_documented_command_is_one_of_the_tool(page, tool, arguments,
                                                 monkeypatch):
    assert (ROOT / tool).exists()
    for one in arguments:
        if re.match(r'configs/.*\.py$', one) and 'parts' not in one and (
                'MY_' not in one):
            assert (ROOT / one).exists()
    if tool.endswith('.sh'):
        name, own = LAUNCHERS[Path(tool).name]
        tool = f'tools/{name}'
        arguments = [one for i, one in enumerate(arguments) if i not in own]
    parse = argparse.ArgumentParser.parse_known_args

    def stop(self, args=None, namespace=None):
        _, rest = parse(self, args, namespace)
        assert not rest
        raise KeyboardInterrupt

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_known_args', stop)
    monkeypatch.syspath_prepend(str((ROOT / tool).parent))
    with pytest.raises(KeyboardInterrupt):
        module_of(tool).main(arguments)


@pytest.mark.parametrize('page, text', blocks('python'))
def test_an_example_is_valid(page, text, tmp_path):
    compile(text, page, 'exec')
    base = re.search(r"_base_ = '\./(.*)'", text)
    if base:
        path, = ROOT.glob(f'configs/*/{base[1]}')
        file = tmp_path / 'config.py'
        file.write_text(text.replace(f'./{base[1]}', str(path)))
        assert Config.fromfile(file).model.type


@pytest.mark.parametrize('page, text', [
    one for one in blocks('python') if 'backbone(' in one[1]
    and 'mask' not in one[1] and 'class ' not in one[1]])
def test_an_example_runs(page, text, tmp_path, monkeypatch):
    """With small networks under the names that it has."""
    arch = dict(archs.ARCHS['dinov3-base'], **dict(TINY, num_layers=12))
    monkeypatch.setitem(archs.ARCHS, 'dinov3-base', arch)
    monkeypatch.chdir(tmp_path)
    for name in re.findall(r"'(\w+\.pth)'", text):
        write_dinov3(tmp_path / name, num_layers=12)
    config = dict(type='hpvit_mm.HPViT', arch=dict(TINY), stage_depths=(1, 1))
    save_pretrained(MODELS.build(config), config, 'my-backbone')
    exec(compile(text, page, 'exec'), dict(
        images=torch.zeros(1, 3, 64, 64), config=config))


def test_the_backbone_of_ones_own():
    text, = [text for _, text in blocks('python') if 'BaseBackbone' in text]
    names = {}
    exec(compile(text.replace('register_module()', 'register_module('
                              'force=True)'), 'my_backbone.py', 'exec'), names)
    backbone = names['ConvBackbone'](dims=8, frozen_stages=1)
    out, = backbone(torch.zeros(1, 3, 32, 64))
    assert out.shape == (1, 8, 4, 8)
    assert not backbone.embed.weight.requires_grad
    assert backbone.blocks[2][0].weight.requires_grad


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path, capsys):
    """Sphinx warns of dead links, and of classes that are not there.

    All but the writing of the pages, which takes as long again.
    """
    from sphinx.cmd.build import main as sphinx
    status = sphinx(['-q', '-W', '--keep-going', '-b', 'dummy', '-c',
                     str(ROOT / 'docs'), str(ROOT), str(tmp_path)])
    assert status == 0, capsys.readouterr().err
