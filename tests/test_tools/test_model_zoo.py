"""The tables and metafiles agree with the configs."""
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from modelindex.load_model_index import load

from hpvit_mm.analysis.cost import Cost
from hpvit_mm.errors import UserError

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location(
    'model_zoo', ROOT / 'tools/model_zoo.py')
model_zoo = importlib.util.module_from_spec(SPEC)
sys.modules['model_zoo'] = model_zoo  # for its dataclass
SPEC.loader.exec_module(model_zoo)
README = 'configs/imagenet/README.md'
PARENT = 'configs/imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py'
CHILD = 'configs/imagenet/hpvit-base-avg-mae_8xb128-100e_in1k.py'
MARKERS = '<!-- model_zoo:begin -->\n<!-- model_zoo:end -->\n'


def configs() -> list:
    """All experiments but those of the quick start."""
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in ROOT.glob('configs/[!_]*/*.py')
        if path.parent.name != 'quickstart'
        and not model_zoo.SMALL.search(path.stem))


# ------------------------------------------------------------ the repository


def test_every_config_is_in_the_metafiles():
    index = load(str(ROOT / 'model-index.yml'))
    assert index.check(silent=True) == []
    assert sorted(model.config for model in index.models) == configs()
    names = [model.name for model in index.models]
    assert sorted(names) == sorted(Path(path).stem for path in configs())
    papers = dict(vit='2111.06377', hpvit='2211.01785', hivit='2205.14949',
                  hiera='2306.00989', swin='2103.14030',
                  greenmim_swin='2205.13515', um='2205.10063')
    for model in index.models:
        family = model.name.removeprefix('mae_').split('-')[0]
        full = model.full_model
        assert full.paper['URL'].endswith(papers[family])
        assert model.results is None
        assert model.metadata.flops > 1e8
        assert model.metadata.parameters > 1e6


def test_mmpretrain_finds_the_models(monkeypatch):
    from mmpretrain.apis.model import ModelHub
    ModelHub._register_mmpretrain_models()  # so that get() does not
    monkeypatch.setattr(ModelHub, '_models_dict', {})
    ModelHub.register_model_index(ROOT / 'model-index.yml',
                                  config_prefix=ROOT)
    ours = ModelHub._models_dict
    assert len(ours) == len(configs())
    assert all(Path(one.config).is_file() for one in ours.values())
    found = ModelHub.get(Path(PARENT).stem)
    assert found.config.model.backbone.type == 'hpvit_mm.HPViT'


@pytest.mark.parametrize('name', model_zoo.SETS)
def test_every_config_is_in_the_tables_once(name):
    links = re.findall(r'\]\(([^)/]*\.py)\)',
                       (ROOT / f'configs/{name}/README.md').read_text())
    expected = [Path(path).name for path in configs()
                if Path(path).parent.name == name]
    assert sorted(links) == sorted(expected)


@pytest.mark.parametrize('path', configs())
def test_every_config_states_its_cost(path):
    assert len(model_zoo.COST.findall((ROOT / path).read_text())) == 1


# --------------------------------------------------------------- a small one


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A repository of two experiments, whose costs are not computed."""

    def cost_of(cfg):
        with_cp = cfg.model.backbone.get('with_cp', False)
        return Cost((224, 224), dict(backbone=123e9, head=1.5e6),
                    300e9 if with_cp else 243e9, 86600000, 86600000,
                    30 * 2**30, 1281167, 100, 'epoch')

    monkeypatch.setattr(model_zoo, 'cost_of', cost_of)
    monkeypatch.setattr(model_zoo, 'SETS', dict(imagenet='ImageNet-1k'))
    monkeypatch.setattr(model_zoo, 'RELATIVES', (
        ('ours', Path(PARENT).stem, Path(CHILD).stem, 'yes'), ))
    shutil.copytree(ROOT / 'configs/_base_', tmp_path / 'configs/_base_')
    (tmp_path / 'configs/imagenet').mkdir()
    (tmp_path / 'docs').mkdir()
    for path in (PARENT, CHILD):
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / README).write_text(f'Above\n{MARKERS}Below\n')
    (tmp_path / model_zoo.RELATIVES_PAGE).write_text(MARKERS)
    model_zoo.write(tmp_path)
    return tmp_path


def test_writing_twice_changes_nothing(small):
    model_zoo.check(small)
    assert model_zoo.write(small) == []


def test_what_is_written(small):
    text = (small / README).read_text()
    assert text.startswith('Above\n<!-- model_zoo:begin -->\n| config |')
    assert text.endswith('|\n<!-- model_zoo:end -->\nBelow\n')
    row, = [line for line in text.split('\n') if Path(PARENT).stem in line]
    assert row == (
        f'| [{Path(PARENT).stem}]({Path(PARENT).name}) | 86.6 | 61.5 '
        '| 0.00075 | 30.0 | 46.9 | 104 | not yet trained |')
    relatives = (small / model_zoo.RELATIVES_PAGE).read_text()
    assert '| ours | yes | 86.6 | 61.5 | 30.0 | [104](../' in relatives
    head = (small / PARENT).read_text()
    assert ('\nCost      (123 + 0.0015 + 243) GFLOPs (backbone, heads, '
            'backward pass) x\n          1,281,167 images x 100 epochs = 46.9 '
            'EFLOPs, 104 GPU hours at 125\n          TFLOP/s in bf16; 30.0 '
            'GiB a GPU (tools/model_zoo.py; not measured)\nResult    ') in head
    index = yaml.safe_load(
        (small / 'configs/imagenet/metafile.yml').read_text())
    assert index['Models'][1] == {
        'Name': Path(PARENT).stem,
        'In Collection': 'HPViT on ImageNet-1k',
        'Metadata': {
            'Training Data': 'ImageNet-1k', 'FLOPs': 61500750000,
            'Parameters': 86600000, 'Epochs': 100, 'Batch Size': 1024},
        'Config': PARENT,
    }


def test_a_result_is_copied_from_the_head(small):
    path = small / PARENT
    path.write_text(path.read_text().replace(
        'Result    not yet trained',
        'Result    99.9 % top-1\n          (work_dirs/x.log)'))
    with pytest.raises(UserError, match='README.md, docs/relatives.md are '
                       'out of date; run tools/model_zoo.py --write'):
        model_zoo.check(small)
    model_zoo.write(small)
    assert '| 99.9 % top-1 (work_dirs/x.log) |' in (small / README).read_text()


def test_a_changed_config_is_noticed(small):
    path = small / CHILD
    text = path.read_text()
    path.write_text(text.replace("pooling='avg'",
                                 "pooling='avg', with_cp=True"))
    assert set(model_zoo.stale(small)) == {
        README, CHILD, model_zoo.RELATIVES_PAGE}
    model_zoo.write(small)
    assert '+ 300) GFLOPs' in path.read_text()
    path.write_text(text)
    model_zoo.write(small)
    assert path.read_text() == text


def test_a_new_config_is_noticed(small):
    shutil.copy(small / CHILD, (small / CHILD).with_name('new_in1k.py'))
    assert set(model_zoo.stale(small)) == {
        README, 'configs/imagenet/metafile.yml'}


@pytest.mark.parametrize('label', ['Cost', 'Result'])
def test_a_head_without_a_label(small, label):
    path = small / CHILD
    path.write_text(re.sub(f'^{label} .*\n', '', path.read_text(), flags=re.M))
    with pytest.raises(UserError, match=f"{CHILD}: .* no line '{label} "):
        model_zoo.check(small)


@pytest.mark.parametrize('page', [README, model_zoo.RELATIVES_PAGE])
def test_a_page_without_markers(small, page):
    (small / page).write_text('nothing\n')
    with pytest.raises(UserError, match=f'{page} must have <!-- model_zoo:b'):
        model_zoo.check(small)


# ------------------------------------------------------------------ the tool


def test_the_tool(monkeypatch, capsys):
    def check(_):
        raise UserError('x.md is out of date; run it')

    monkeypatch.setattr(model_zoo, 'check', check)
    monkeypatch.setattr(model_zoo, 'write', lambda _: ['x.md'])
    assert model_zoo.main([]) == model_zoo.main(['--check']) == 2
    assert capsys.readouterr().err.startswith('error: x.md is out of date')
    assert model_zoo.main(['--write']) == 0
    assert capsys.readouterr().out == 'wrote x.md\n'
    assert model_zoo.main(['--explain', 'nothing.py']) == 2


def test_an_explanation(small, capsys):
    assert model_zoo.main(['--explain', str(small / PARENT)]) == 0
    text = capsys.readouterr().out
    assert 'backbone              123.00' in text and '104 GPU hours' in text
