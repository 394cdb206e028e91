"""Configs in JSON and YAML: nothing in them is executed, and they work."""
import importlib
import json
import os
import pickle
import runpy
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.fileio import (PickleHandler, YamlHandler, get_file_backend,
                             load, register_handler)
from mmengine.registry import (FUNCTIONS, HOOKS, MODELS, TRANSFORMS,
                               DefaultScope, registry)
from mmengine.runner.checkpoint import CheckpointLoader
from mmengine.utils import get_object_from_string

from hpvit_mm.engine.checks import check_run
from hpvit_mm.engine.settings import load_config, merge_options
from hpvit_mm.errors import UserError

ROOT = Path(__file__).parents[2]
QUICKSTART = sorted((ROOT / 'configs/quickstart').glob('*.py'))
PAYLOAD = 'module_of_a_stranger'
CALL = '__import__("os").mkdir("executed")'
# A module may have the name of a type that some registry has.
NAMESAKE = 'HSwish'


class Pickled:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder, )


@pytest.fixture(autouse=True)
def mmengines(monkeypatch):
    """mmengine as it comes, whatever other tests have read; and again."""

    def restore():
        register_handler(['yaml', 'yml'])(YamlHandler)
        register_handler(['pickle', 'pkl'])(PickleHandler)

    restore()
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        dict(CheckpointLoader._schemes))
    yield
    restore()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where configs lie, beside what they would have executed.

    That makes the folder ``executed``.
    """
    mark = str(tmp_path / 'executed')
    (tmp_path / f'{PAYLOAD}.py').write_text(
        f'__import__("os").mkdir({mark!r})\n')
    for name in ('data.pkl', 'data.png'):
        (tmp_path / name).write_bytes(pickle.dumps(Pickled(mark)))
    (tmp_path / 'client').mkdir()
    (tmp_path / 'client/mc.py').write_text(f'import os; os.mkdir({mark!r})')
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in (PAYLOAD, NAMESAKE, 'mc'):
        sys.modules.pop(name, None)


def was_executed(folder):
    return (folder / 'executed').exists() or PAYLOAD in sys.modules


def write(folder, files):
    """Write the files of a case; returns the path of the first."""
    for name, text in files.items():
        (folder / name).write_text(
            text if isinstance(text, str) else json.dumps(text))
    return str(folder / next(iter(files)))


# ------------------------------------------------------------------- refused

# How a run would come to execute what a config holds.


def read(cfg):
    """Reading it is enough."""


def build_model(cfg):
    MODELS.build(cfg.model)


def build_hook(cfg):
    HOOKS.build(cfg.custom_hooks[0])


def build_by_hooks(cfg):
    """By a registry that does not have the type."""
    HOOKS.build(cfg.model)


def build_target(cfg):
    MODELS.build(cfg.model.targets[0])


def enter_scope(cfg):
    with MODELS.switch_scope_and_registry(cfg.default_scope):
        pass


def enter_model_scope(cfg):
    with MODELS.switch_scope_and_registry(cfg.model._scope_):
        pass


def make_loader(cfg):
    FUNCTIONS.get(cfg.train_dataloader.collate_fn.type)


def build_convolution(cfg):
    from mmcv.cnn import ConvModule
    ConvModule(1, 1, 1, padding_mode=cfg.model.padding_mode)


def build_resize(cfg):
    from mmcv.transforms import RandomResize
    RandomResize((1, 1), resize_type=cfg.pipeline[0].resize_type)


def make_ema(cfg):
    from mmengine.hooks import EMAHook
    hook = EMAHook(**cfg.custom_hooks[0])
    MODELS.build(dict(hook.ema_cfg, path='executed'))


def load_annotations(cfg):
    BaseDataset(**cfg.train_dataloader.dataset)


def copy_and_read(cfg):
    cfg.dump('copy.py')
    Config.fromfile('copy.py')


def build_transform(cfg):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        transform = TRANSFORMS.build(cfg.pipeline[0])
    if 'decode_backend' in cfg.pipeline[0]:
        transform(dict(img_path='data.png'))


def compensate(cfg):
    from mmdet.registry import TASK_UTILS
    with DefaultScope.overwrite_default_scope('mmdet'):
        TASK_UTILS.build(cfg.model)


def suppress(cfg):
    from mmcv.ops import batched_nms
    batched_nms(torch.rand(1, 4), torch.rand(1), torch.zeros(1), cfg.nms)


def read_hierarchy(cfg):
    from mmdet.datasets import OpenImagesChallengeDataset as kind
    kind._get_relation_matrix(Namespace(backend_args=None),
                              cfg.dataset.hierarchy_file)


def read_images(cfg):
    get_file_backend(backend_args=cfg.backend_args)


def build_student(cfg):
    from mmdet.registry import MODELS as models
    with DefaultScope.overwrite_default_scope('mmdet'):
        models.build(cfg.model)


MAKE = dict(type='os.mkdir', path='executed')
# In a copy of the config, a variable ends the text in which it stands.
TWICE = '{{$NONE:\\\\\\\'+' + CALL + '#|Z}}'
# (what it tries, its files, how it is armed, what the sentence says)
MALICIOUS = [
    ('a function as a type', {'a.json': dict(model=MAKE)}, build_model,
     ["model.type is 'os.mkdir'", 'registered type']),
    ('a function as a type in YAML',
     {'a.yaml': 'custom_hooks:\n- {type: os.mkdir, path: executed}\n'},
     build_hook, ["custom_hooks.0.type is 'os.mkdir'"]),
    ('a module before the dot of a type',
     {'a.yml': f'model: {{type: {PAYLOAD}.Net}}'}, build_model,
     [f"model.type is '{PAYLOAD}.Net'"]),
    ('a type inherited from JSON by YAML',
     {'a.yaml': '_base_: b.json\nmodel: {path: executed}',
      'b.json': dict(model=MAKE)}, build_model,
     ["b.json: model.type is 'os.mkdir'"]),
    ('a type put together by a variable',
     {'a.json': '{"_base_": "b.json", "model": {"path": "executed", '
      '"type": {{ _base_.name }}}}', 'b.json': dict(name='os.mkdir')},
     build_model, ["a.json: model.type is 'os.mkdir'"]),
    ('a type from the environment',
     {'a.json': '{"model": {"type": "{{$NONE:os.mkdir}}", "path": '
      '"executed"}}'}, build_model, ["model.type is 'os.mkdir'"]),
    ('a module as a type', {'a.json': dict(model=dict(type=PAYLOAD))},
     build_model, [f'model.type: there is no {PAYLOAD} among the types of']),
    ('a module as a hook in YAML',
     {'a.yaml': f'custom_hooks:\n- type: {PAYLOAD}\n'}, build_hook,
     [f'custom_hooks.0.type: there is no {PAYLOAD} among']),
    ('a module that collates', {'a.json': dict(train_dataloader=dict(
        collate_fn=dict(type=PAYLOAD)))}, make_loader,
     ['train_dataloader.collate_fn.type: there is no']),
    ('a module that averages',
     {'a.json': dict(custom_hooks=[dict(ema_type=PAYLOAD)])}, make_ema,
     ['custom_hooks.0.ema_type: there is no']),
    ('a module that pads',
     {'a.json': dict(model=dict(padding_mode=PAYLOAD))}, build_convolution,
     ['model.padding_mode: there is no']),
    ('a path that resizes',
     {'a.json': dict(pipeline=[dict(
        resize_type=f'{PAYLOAD}.Net')])}, build_resize,
     [f"pipeline.0.resize_type is '{PAYLOAD}.Net'"]),
    ('a function of a library',
     {'a.json': dict(model=dict(type='mmengine.mkdir_or_exist',
                                dir_name='executed'))}, build_model,
     ['model.type: there is no mmengine.mkdir_or_exist among']),
    ('a module with the name of a type',
     {'a.json': dict(model=dict(type=NAMESAKE)),
      f'{NAMESAKE}.py': CALL}, build_by_hooks,
     [f'model.type: {NAMESAKE} is the name of a module']),
    ('a module among names of another library',
     {'a.json': dict(model=dict(type='mmpretrain.LoRAModel', targets=[
         dict(type=PAYLOAD)]))}, build_target,
     [f'model.targets.0.type: {PAYLOAD} is the name of a module']),
    ('a tag of YAML',
     {'a.yaml': 'x: !!python/object/apply:os.mkdir [executed]'}, read,
     ['a.yaml: line 1', 'os.mkdir']),
    ('a new object by a tag of YAML',
     {'a.yaml': 'y: 1\nx: !!python/object/new:os.mkdir [executed]'}, read,
     ['a.yaml: line 2', 'os.mkdir']),
    ('a module by a tag of YAML',
     {'a.yml': f"x: !!python/module:{PAYLOAD} ''"}, None,
     [f'!!python/module:{PAYLOAD}']),
    ('a tag of YAML from the environment',
     {'a.yaml': 'x: {{$NONE:!!python/object/apply:os.mkdir}} [executed]'},
     read, ['a.yaml: line 1', 'os.mkdir']),
    ('a tag in a base',
     {'a.json': dict(_base_='b.yml'),
      'b.yml': 'x: !!python/object/apply:os.mkdir [executed]'}, read,
     ['b.yml: line 1', 'os.mkdir']),
    ('custom_imports in JSON',
     {'a.json': dict(custom_imports=dict(imports=[PAYLOAD]))}, read,
     ['a.json: custom_imports imports modules']),
    ('custom_imports in YAML',
     {'a.yaml': f'custom_imports: {{imports: {PAYLOAD}}}'}, read,
     ['a.yaml: custom_imports imports modules']),
    ('custom_imports in a base',
     {'a.json': dict(_base_=['b.json']),
      'b.json': dict(custom_imports=dict(imports=PAYLOAD))}, read,
     ['b.json: custom_imports']),
    ('a base in Python', {'a.json': dict(_base_=f'{PAYLOAD}.py')}, read,
     ['a.json: _base_', f'{PAYLOAD}.py']),
    ('a base in Python behind another',
     {'a.json': dict(_base_='b.yaml'), 'b.yaml': f'_base_: [{PAYLOAD}.py]'},
     read, ['b.yaml: _base_', f'{PAYLOAD}.py']),
    ('a base in Python from the environment',
     {'a.yaml': f'_base_: {{{{$NONE:{PAYLOAD}}}}}.py'}, read,
     ['a.yaml: _base_', f'{PAYLOAD}.py']),
    ('a base of another package',
     {'a.json': dict(_base_='mmdet::_base_/default_runtime.py')}, None,
     ['_base_', 'mmdet::']),
    ('a scope', {'a.json': dict(default_scope=PAYLOAD)}, enter_scope,
     [f"default_scope is '{PAYLOAD}'", 'one of mmengine']),
    ('a scope of a dict', {'a.yaml': f'model: {{_scope_: {PAYLOAD}}}'},
     enter_model_scope, [f"model._scope_ is '{PAYLOAD}'"]),
    ('the type of an EMA',
     {'a.json': dict(custom_hooks=[dict(ema_type='os.mkdir')])}, make_ema,
     ["custom_hooks.0.ema_type is 'os.mkdir'"]),
    ('pickled annotations',
     {'a.json': dict(train_dataloader=dict(dataset=dict(
         ann_file='data.pkl')))}, load_annotations,
     ["train_dataloader.dataset.ann_file is 'data.pkl'", 'pickled']),
    ('a key that is code in a copy', {'a.json': {f"a': {CALL}, 'b": 1}},
     copy_and_read, ['is no name', 'copy']),
    ('a key deep inside that is code in a copy',
     {'a.json': dict(x=[{f"a': {CALL}, 'b": 1}])}, copy_and_read,
     ['x.0 has the key']),
    ('a variable that appears in a copy',
     {'a.json': json.dumps(dict(x=TWICE)).replace('{{', r'\u007b\u007b')},
     copy_and_read, ['a.json: x is', 'once more']),
    ('a dtype of torchvision',
     {'a.json': dict(default_scope='mmpretrain', pipeline=[dict(
         type='torchvision/ConvertImageDtype', dtype=f'float or {CALL}'
         .replace('float or', 'float32 and'))])}, build_transform,
     ['pipeline.0.dtype is']),
    ('a mode of mmdet',
     {'a.json': dict(model=dict(type='CameraMotionCompensation',
                                warp_mode=CALL))}, compensate,
     ['model.warp_mode is']),
    ('a suppression of mmdet', {'a.json': dict(nms=dict(type=CALL))},
     suppress, ['nms.type is']),
    ('a pickled image of mmseg',
     {'a.json': dict(default_scope='mmseg', pipeline=[dict(
         type='LoadBiomedicalImageFromFile', decode_backend='pickle')])},
     build_transform, ["pipeline.0.decode_backend is 'pickle'"]),
    ('a pickled hierarchy of classes',
     {'a.json': dict(dataset=dict(type='mmdet.OpenImagesChallengeDataset',
                                  hierarchy_file='data.png'))},
     read_hierarchy, ['dataset.type', 'unpickles']),
    ('a folder of modules',
     {'a.json': dict(backend_args=dict(
         backend='memcached', sys_path='client', server_list_cfg='',
         client_cfg=''))}, read_images, ['backend_args.sys_path']),
    ('a teacher of mmdet',
     {'a.yaml': 'model:\n  type: KnowledgeDistillationSingleStageDetector\n'
      f'  teacher_config: {PAYLOAD}.py\n'
      '  backbone: {type: ResNet, depth: 18}\n  neck: {type: FPN, '
      'in_channels: [64], out_channels: 8, num_outs: 1}\n'
      '  bbox_head: {type: FCOSHead, num_classes: 2, in_channels: 8}\n'},
     build_student, ['model.teacher_config']),
    ('a teacher in JSON, which mmengine would read',
     {'a.json': dict(model=dict(teacher_config='b.json')),
      'b.json': dict(custom_imports=dict(imports=PAYLOAD))}, None,
     ['model.teacher_config', 'written out as a dict']),
    ('any file in Python', {'a.json': dict(x=[f'{PAYLOAD}.py'])}, None,
     ['x.0 is', 'a Python file']),
    ('kernels', {'a.json': dict(model=dict(
        attn_implementation='stranger/attention'))}, None,
     ['model.attn_implementation']),
    ('a program of wandb', {'a.json': dict(visualizer=dict(vis_backends=[dict(
        init_kwargs=dict(settings=dict(x_executable='./evil')))]))}, None,
     ['visualizer.vis_backends.0.init_kwargs.settings']),
    ('programs beside weights',
     {'a.json': dict(model=dict(trust_remote_code=True))}, None,
     ['model.trust_remote_code']),
    ('unpickled weights', {'a.json': dict(model=dict(weights_only=False))},
     None, ['model.weights_only']),
    ('pickled tags', {'a.json': dict(model=dict(tag_list='data.png'))}, None,
     ['model.tag_list']),
    ('a compiler', {'a.json': dict(compile=dict(options={
        'cpp.cxx': ['./evil']}))}, None, ['compile.options']),
]
NAMES = [name for name, *_ in MALICIOUS]
# Those that mmengine has no part in, or that need what is not installed here.
ARMED = [case for case in MALICIOUS if case[2] is not None]


@pytest.mark.parametrize('name, files, run, says', MALICIOUS, ids=NAMES)
def test_nothing_is_executed(name, files, run, says, folder):
    path = write(folder, files)
    with pytest.raises(UserError) as error:
        load_config(path)
    assert not was_executed(folder)
    sentence = str(error.value)
    for part in (*says, 'write the config in Python'):
        assert part in sentence
    assert str(folder) in sentence and '\n' not in sentence


@pytest.mark.parametrize('name, files, run, says', ARMED,
                         ids=[name for name, *_ in ARMED])
def test_they_are_armed(name, files, run, says, folder):
    """With mmengine alone, all of them are executed."""
    path = write(folder, files)
    try:
        run(Config.fromfile(path))
    except Exception:  # what is executed need not return what was wanted
        pass
    assert was_executed(folder)


@pytest.mark.parametrize('place', [
    'model.backbone.type', 'model.init_cfg.0.type', 'tta_model.type',
    'tta_pipeline.0.transforms.0.0.type', 'model_wrapper_cfg.type',
    'train_dataloader.worker_init_fn.type', 'val_evaluator.metrics.0.type',
    'test_cfg.bank.dataset.type', 'default_hooks.timer.type',
    'visualizer.vis_backends.0.type', 'optim_wrapper.constructor',
    'runner_type', 'strategy.model_wrapper.auto_wrap_policy',
    'model.backbone.norm_layer'])
def test_every_place(place, folder):
    """The names in a config are looked at wherever they stand."""
    node = PAYLOAD
    for key in reversed(place.split('.')):
        node = [node] if key.isdigit() else {key: node}
    with pytest.raises(UserError, match=f'{place}: there is no {PAYLOAD} '):
        load_config(write(folder, {'a.json': node}))
    assert not was_executed(folder)


@pytest.mark.parametrize('tool, arguments', [
    ('train', []), ('test', ['--untrained']), ('plot_schedule', ['a.svg']),
    ('analysis/get_flops', ['--shape', '32'])])
def test_tools_refuse(tool, arguments, folder, capsys):
    path = write(folder, {'a.json': dict(
        default_scope='mmpretrain', model=dict(type=PAYLOAD),
        param_scheduler=[dict(type=PAYLOAD)])})
    main = runpy.run_path(str(ROOT / f'tools/{tool}.py'))['main']
    assert main([path, *arguments]) == 2
    error = capsys.readouterr().err
    assert f'model.type: there is no {PAYLOAD} among' in error
    assert error.startswith('error: ') and error.count('\n') == 1
    assert not was_executed(folder)


def test_mmengine_is_as_it_was(folder):
    """A config in Python may name paths, before and after such a file."""
    load_config(write(folder, {'a.json': dict(model=dict(type='HSwish'))}))
    assert registry.get_object_from_string is get_object_from_string
    assert registry.import_module is importlib.import_module
    assert MODELS.build(dict(type='torch.nn.Identity'))


@pytest.mark.parametrize('name, how', [
    ('data.pkl', {}), ('data.png', dict(file_format='pkl'))])
def test_nothing_is_unpickled(name, how, folder):
    path = write(folder, {'a.yaml': 'x: 1'})
    load_config(path)
    with pytest.raises(UserError, match='pickled file, which could'):
        load(name, **how)
    assert not was_executed(folder)


def test_no_checkpoint_is_unpickled(folder):
    """Also by tools that do not train: some models load another's."""
    load_config(write(folder, {'a.json': {}}))
    torch.save(dict(state_dict=Pickled(str(folder / 'executed'))), 'a.pth')
    with pytest.raises(UserError, match='more than tensors'):
        CheckpointLoader.load_checkpoint('a.pth')
    assert not was_executed(folder)


def test_annotations_in_yaml(folder):
    path = write(folder, {
        'a.json': {}, 'b.yaml': 'x: !!python/object/apply:os.mkdir [executed]'
    })
    load_config(path)
    with pytest.raises(Exception, match='os.mkdir'):
        load('b.yaml')
    assert not was_executed(folder)


def test_python_inherits_from_yaml(folder):
    """It may name types, but its tags construct nothing."""
    path = write(folder, {
        'a.py': '_base_ = "b.yaml"',
        'b.yaml': 'x: !!python/object/apply:os.mkdir [executed]'})
    with pytest.raises(UserError, match='os.mkdir'):
        load_config(path)
    assert not was_executed(folder)
    path = write(folder, {
        'a.py': f'_base_ = "b.yaml"\nimport {PAYLOAD}',
        'b.yaml': 'model: {type: torch.nn.Linear, in_features: 2, '
                  'out_features: 3, size: !!python/tuple [1, 2]}'})
    cfg = load_config(path)
    assert cfg.model.pop('size') == (1, 2)
    assert MODELS.build(cfg.model).out_features == 3
    assert was_executed(folder)


# ----------------------------------------------------------- broken or vicious

NESTED = 20_000
LAUGHS = 'a0: &a0 [ha, ha]\n' + ''.join(
    f'a{i + 1}: &a{i + 1} [{", ".join([f"*a{i}"] * 9)}]\n' for i in range(30))
MERGES = 'a0: &a0 {x: 1}\n' + ''.join(
    f'a{i + 1}: &a{i + 1} {{<<: [{", ".join([f"*a{i}"] * 9)}]}}\n'
    for i in range(30))


@pytest.mark.parametrize('files, says', [
    ({'a.yaml': LAUGHS}, 'aliases stand for too many'),
    ({'a.yaml': MERGES}, 'aliases stand for too many'),
    ({'a.yaml': 'x: &a [1, *a]'}, 'aliases stand for too many'),
    ({'a.yaml': 'x: ' + '[' * NESTED + ']' * NESTED}, 'nested too deeply'),
    ({'a.json': '{"x": ' + '[' * NESTED + ']' * NESTED + '}'},
     'nested too deeply'),
    ({'a.json': '{"x": ' + '[' * 150 + ']' * 150 + '}'}, 'nested too deeply'),
    ({'a.json': '{"x": 1,}'}, 'not valid JSON'),
    ({'a.json': ''}, 'not valid JSON'),
    ({'a.json': '[1]'}, 'holds no entries of a config, but a list'),
    ({'a.yaml': ''}, 'holds no entries'),
    ({'a.yaml': 'x: [1'}, 'not valid YAML'),
    ({'a.yaml': 'x: 1\n---\ny: 2'}, 'not valid YAML'),
    ({'a.yaml': 'x: !mine 1'}, 'line 1'),
    ({'a.yaml': 'x: 2026-01-31'}, 'x is a date'),
    ({'a.yaml': 'x: {y: !!set {a}}'}, 'x.y is a set'),
    ({'a.yaml': '1: 2'}, '1 is no name'),
    ({'a.yaml': 'x: {1.5: 2}'}, 'has the key 1.5'),
    ({'a.json': dict(filename='x')}, 'filename is reserved'),
    ({'a.json': {'class': 1}}, "'class' is no name"),
    ({'a.json': dict(_base_='a.json')}, 'leads back'),
    ({'a.json': dict(_base_='b.json'), 'b.json': dict(_base_='./a.json')},
     'leads back'),
    ({'a.json': dict(_base_='b.json')}, 'b.json does not exist'),
    ({'a.json': dict(_base_={'b.json': 1, 'c': 2})}, '_base_'),
    ({'a.json': dict(_base_=7)}, '_base_'),
    ({'a.json': dict(_base_=['b.json', 'c.json']), 'b.json': dict(x=1),
      'c.json': dict(x=1)}, 'two files in its _base_ have x'),
    ({'a.json': '{"x": {{ _base_.y }}}'}, 'cannot be read'),
    ({'a.json': '{"x": "{{$NONE:}}"}'}, 'NONE'),
    ({'a.json': '{"x": ' + '9' * 5000 + '}'}, 'not valid JSON'),
    ({'a.toml': ''}, 'cannot be read'),
])
def test_broken_files(files, says, folder):
    path = write(folder, files)
    with pytest.raises(UserError, match=says):
        load_config(path)


# -------------------------------------------------------------------- accepted


@pytest.mark.parametrize('kind', ['json', 'yaml', 'yml'])
@pytest.mark.parametrize('config', QUICKSTART, ids=lambda path: path.stem)
def test_dumped_configs(config, kind, tmp_path):
    path = str(tmp_path / f'a.{kind}')
    Config.fromfile(config).dump(path)
    theirs, ours = Config.fromfile(path), load_config(path)
    assert ours.to_dict() == theirs.to_dict()
    assert ours.filename == path
    if kind != 'json':  # which has no tuples
        assert ours.pretty_text == Config.fromfile(config).pretty_text


@pytest.mark.parametrize('pattern, data, kind', [
    ('hpvit*imagenet', 'imagenet', 'json'), ('hpvit*coco', 'coco', 'json'),
    ('hpvit*imagenet', 'imagenet', 'yaml'), ('hpvit*coco', 'coco', 'yaml'),
    # not JSON: mmseg's RandomCrop takes a tuple, which JSON does not have
    ('hpvit*ade20k', 'ade/ADEChallengeData2016', 'yaml')])
def test_checks_accept_them(pattern, data, kind, sample_data, tmp_path):
    """Types of mmengine, the three hosts and this project are found."""
    cfg = Config.fromfile(next((ROOT / 'configs/quickstart').glob(
        f'{pattern}.py')))
    root = str(sample_data / data)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = cfg[name].dataset
        dataset.get('dataset', dataset).data_root = root
    for name in ('val_evaluator', 'test_evaluator'):
        if 'ann_file' in cfg[name]:
            cfg[name].ann_file = f'{root}/annotations/instances_val2017.json'
    cfg.dump(str(tmp_path / f'a.{kind}'))
    cfg = load_config(str(tmp_path / f'a.{kind}'))
    cfg.work_dir = str(tmp_path / 'work')
    check_run(cfg, training=True)
    check_run(cfg, training=False)


def test_printed(tmp_path, capsys):
    sys.path.insert(0, str(ROOT / 'tools'))
    try:
        import print_config
    finally:
        sys.path.pop(0)
    Config.fromfile(QUICKSTART[0]).dump(str(tmp_path / 'a.yaml'))
    assert print_config.main([str(tmp_path / 'a.yaml')]) == 0
    printed = capsys.readouterr().out
    assert printed == Config.fromfile(QUICKSTART[0]).pretty_text
    path = write(tmp_path, {'b.json': dict(model=MAKE)})
    assert print_config.main([path]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and error.count('\n') == 1


def test_inheritance_and_variables(folder, monkeypatch):
    """As mmengine has them."""
    monkeypatch.setenv('WIDTH', '96')
    path = write(folder, {
        'a.json': '{"_base_": ["b.yaml", "c/d.json"], "__comment": 1, '
                  '"name": "{{ fileBasenameNoExtension }}", '
                  '"copied": [{{ _base_.model.head }}], '
                  '"width": {{$WIDTH:12}}, "depth": {{$DEPTH:6}}, '
                  '"model": {"head": {"_delete_": true, "type": "Net"}}}',
        'b.yaml': 'anchor: &a {x: 1, 2: y}\n'
                  'model: {<<: *a, head: {type: mmdet.Net, classes: 3}}\n'})
    (folder / 'c').mkdir()
    write(folder / 'c', {
        'd.json': dict(_base_='../e.yml', folder='{{ fileDirname }}')})
    write(folder, {'e.yml': 'work_dir: here\n'})
    cfg = load_config(path, build=False)  # there is no type Net
    assert cfg.to_dict() == Config.fromfile(path).to_dict() == dict(
        name='a', width=96, depth=6, folder=str(folder / 'c'),
        work_dir='here', copied=[dict(type='mmdet.Net', classes=3)],
        anchor={'x': 1, 2: 'y'},
        model={'x': 1, 2: 'y', 'head': dict(type='Net')})
    assert cfg.env_variables == dict(WIDTH='96')
    assert cfg.text == Config.fromfile(path).text


def test_large_yaml(folder):
    many = ', '.join(['1'] * 60_000)
    path = write(folder, {'a.yaml': f'x: &x [{many}]\ny: *x'})
    assert load_config(path).y == [1] * 60_000


def test_what_is_not_executed_is_accepted(folder):
    load_config(write(folder, {'a.json': dict(
        custom_imports=None, default_scope=None,
        model=dict(type='mmpretrain.torchvision/Normalize', dtype='float32',
                   trust_remote_code=False, weights_only=True),
        compile=dict(backend='inductor'), teacher_config=dict(x=1),
        test_evaluator=dict(type='DumpResults', out_file_path='a.pkl'),
        custom_keys={'.cls_token': 1, 'a b': 2, 'ünïcödé (x)': 3},
        note="'); import os #", number=float('inf'))}))


def test_names_without_a_registry(folder):
    """Which the libraries know where to look up."""
    load_config(write(folder, {'a.json': dict(
        default_scope='mmdet', lora=dict(type='mmpretrain.LoRAModel', targets=[
            dict(type='qkv')]), nms=dict(type='soft_nms'),
        roi_layer=dict(type='RoIAlign'), clip_grad=dict(type='value'),
        albu=dict(type='Albu', transforms=[dict(type='RGBShift')]),
        pad=dict(padding_mode='zeros', act=dict(type='mmdet.ReLU')),
        upsample=dict(type=None))}))


@pytest.mark.parametrize('entry, place', [
    (dict(anything='os.system'), 'anything'),
    (dict(some=[dict(more=['x', 'mmengine.mkdir_or_exist'])]),
     r'some\.0\.more\.1'),
    (dict(type=['os.mkdir']), r'type\.0')])
def test_functions_where_no_type_is_expected(entry, place, folder):
    """Some library may look them up at a key that nobody thought of."""
    path = write(folder, {'a.json': dict(model=entry)})
    with pytest.raises(UserError, match=rf'model\.{place}: .*in the module'):
        load_config(path)


def test_files_that_are_called_as_modules(folder):
    load_config(write(folder, {'a.json': dict(
        ann_file='test.json', file='os.txt', other='json.jsonl',
        key='backbone.layers', number='a.b 2', dtype='torch.float32')}))


def test_names_that_are_imported_on_demand(folder):
    """They are known before what registers them is imported."""
    code = ('from hpvit_mm import environment; environment.prepare()\n'
            'from hpvit_mm.engine.settings import load_config\n'
            'import sys; load_config("a.json"); print("mmseg" in sys.modules)')
    write(folder, {'a.json': dict(
        model=dict(type='SegTTAModel'))})
    done = subprocess.run(
        [sys.executable, '-c', code], env=dict(os.environ, PYTHONPATH=ROOT),
        capture_output=True, text=True)
    assert done.stdout == 'False\n', done.stderr


def test_what_is_absent(folder, monkeypatch):
    """A host that is not installed has no names."""
    monkeypatch.setitem(sys.modules, 'mmseg.registry', None)
    with pytest.raises(UserError, match='there is no mmseg.FCNHead among'):
        load_config(write(folder, {'a.json': dict(
            model=dict(type='mmseg.FCNHead'))}))


# ---------------------------------------------------------------- cfg-options


@pytest.fixture(params=['py', 'json'])
def cfg(request, tmp_path, sample_data):
    cfg = Config.fromfile(next((ROOT / 'configs/quickstart').glob(
        'hpvit*imagenet.py')))
    for name in ('train_dataloader', 'val_dataloader'):
        cfg[name].dataset.data_root = str(sample_data / 'imagenet')
    cfg.work_dir = str(tmp_path / 'work')
    cfg.dump(str(tmp_path / f'a.{request.param}'))
    return load_config(str(tmp_path / f'a.{request.param}'))


@pytest.mark.parametrize('key', [
    'model', 'model.head', 'custom_hooks.0', 'default_hooks.checkpoint',
    'optim_wrapper.optimizer', 'train_dataloader.dataset',
    'train_dataloader.dataset.pipeline.0', 'val_evaluator'])
@pytest.mark.parametrize('name', ['os.mkdir', 'mmengine.mkdir_or_exist'])
def test_functions_as_types(key, name, cfg, tmp_path, monkeypatch):
    """Given on the command line, they are the user's own, and no types."""
    monkeypatch.chdir(tmp_path)
    if key == 'custom_hooks.0':
        cfg.custom_hooks = [dict(type='EMAHook')]
    argument = 'path' if name == 'os.mkdir' else 'dir_name'
    merge_options(cfg, {f'{key}.type': name})
    node = cfg
    for part in key.split('.'):
        node = node[int(part)] if part.isdigit() else node[part]
    node.clear()
    node.update({'type': name, argument: 'executed'})
    with pytest.raises(UserError, match=f'{key}: there is no {name} among'):
        check_run(cfg, training=True)
    assert not was_executed(tmp_path)


def test_a_path_of_a_class(cfg):
    """On the command line, mmengine takes it."""
    path = 'mmpretrain.models.heads.linear_head.LinearClsHead'
    merge_options(cfg, {'model.head.type': path})
    check_run(cfg, training=True)
