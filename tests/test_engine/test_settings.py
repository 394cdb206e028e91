"""Flags into the config of a run."""
import copy

import pytest
import torch
from mmengine.config import Config, ConfigDict

from hpvit_mm.analysis.cost import skeleton
from hpvit_mm.engine import arguments, outputs, settings
from hpvit_mm.errors import UserError

CONFIG = '''
default_scope = {scope!r}
model = dict(type='M', init_cfg=None)
train_dataloader = dict(batch_size=2, num_workers=0)
val_dataloader = dict(batch_size=2, num_workers=3, pin_memory=True)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1))
train_cfg = dict(by_epoch=True, max_epochs=1)
'''


@pytest.fixture
def train_config(tmp_path, monkeypatch):
    """The config that tools/train.py makes of a file and flags."""
    monkeypatch.chdir(tmp_path)

    def prepare(*argv, scope='mmdet', more=''):
        path = tmp_path / 'my-model.py'
        path.write_text(CONFIG.format(scope=scope) + more)
        return settings.training_config(
            arguments.parse_train([str(path), *argv]))

    return prepare


def test_work_dir(train_config):
    assert train_config().work_dir == 'work_dirs/my-model'
    in_config = "work_dir = 'mine'"
    assert train_config(more=in_config).work_dir == 'mine'
    assert train_config('--work-dir', 'x', more=in_config).work_dir == 'x'


def test_its_text_is_formatted_once(train_config, monkeypatch):
    """Until it changes; copies have the same text."""
    cfg, formatted = train_config(), []
    cfg.experiment_name = 'mine'
    plain = Config(dict(cfg.items())).pretty_text
    original = Config.pretty_text.fget
    monkeypatch.setattr(Config, 'pretty_text', property(
        lambda self: formatted.append(self) or original(self)))
    texts = {cfg.pretty_text, copy.deepcopy(cfg).pretty_text, cfg.dump()}
    assert texts == {plain}
    assert len(formatted) == 1
    cfg.model.type = 'Another'
    assert "type='Another'" in cfg.pretty_text


def test_options_are_applied_last(train_config):
    cfg = train_config('--seed', '3', '--work-dir', 'x', '--cfg-options',
                       'randomness.seed=4', 'work_dir=y',
                       'train_dataloader.batch_size=8')
    assert cfg.randomness.seed == 4
    assert cfg.work_dir == 'y'
    assert cfg.train_dataloader.batch_size == 8
    assert train_config('--seed', '3').randomness.seed == 3
    assert 'randomness' not in train_config()  # mmengine draws one


def test_options_reach_into_none(train_config):
    cfg = train_config('--cfg-options', 'model.init_cfg.type=Pretrained')
    assert cfg.model.init_cfg == dict(type='Pretrained')


def test_no_validate(train_config):
    cfg = train_config('--no-validate')
    assert cfg.val_dataloader is cfg.val_cfg is cfg.val_evaluator is None


def test_mmpretrain_loads_as_its_own_tools_do(train_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = train_config(scope='mmpretrain')
    stacked = dict(type='default_collate')
    assert cfg.val_dataloader == dict(
        batch_size=2, num_workers=3, pin_memory=True, persistent_workers=True,
        collate_fn=stacked)
    # torch refuses to keep workers that do not exist
    assert cfg.train_dataloader.persistent_workers is False
    assert 'collate_fn' not in train_config().val_dataloader


def test_nothing_is_pinned_without_a_gpu(train_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert train_config().val_dataloader.pin_memory is False


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU, as far as torch says."""
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda **_: True)


AMP = dict(type='AmpOptimWrapper')
BFLOAT16 = dict(type='hpvit_mm.BFloat16OptimWrapper')


@pytest.mark.parametrize('given, flags, expected', [
    ({}, ['--amp'], AMP),
    ({}, ['--amp', '--amp-dtype', 'float16'], AMP),
    ({}, ['--amp', '--amp-dtype', 'bfloat16'], BFLOAT16),
    # what the config asks for stays, as far as no flag says otherwise
    (BFLOAT16, ['--amp'], BFLOAT16),
    (BFLOAT16, ['--amp-dtype', 'float16'], AMP),
    (dict(AMP, loss_scale=8.), ['--amp'], dict(AMP, loss_scale=8.)),
    (dict(AMP, loss_scale=8., dtype='bfloat16'),
     ['--amp-dtype', 'float16'], dict(AMP, loss_scale=8.)),
    (dict(AMP, loss_scale=8.), ['--amp-dtype', 'bfloat16'], BFLOAT16),
])
def test_amp(given, flags, expected, train_config, gpu):
    wrapper = dict(train_config(
        *flags, more=f'optim_wrapper.update({given})').optim_wrapper)
    del wrapper['optimizer']
    assert wrapper == expected


def test_bfloat16_needs_a_gpu_that_has_it(train_config, gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda **_: False)
    with pytest.raises(UserError, match='--amp-dtype float16'):
        train_config('--amp', '--amp-dtype', 'bfloat16')


def test_bfloat16_of_the_config_needs_no_gpu(train_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    wanted = f'optim_wrapper.update({BFLOAT16})'
    assert train_config(more=wanted).optim_wrapper.type == BFLOAT16['type']
    with pytest.raises(UserError, match='needs a GPU'):
        train_config('--amp', more=wanted)


def test_copies_of_the_config_do_not_replace_one_another(train_config):

    def named(*flags, **changes):
        cfg = train_config(*flags)
        cfg.update(changes)
        settings.name_copy(cfg, 'my-model')
        return cfg

    first = named()
    assert first.filename.endswith('my-model.py')
    (work_dir := settings.Path(first.work_dir)).mkdir(parents=True)
    (work_dir / 'my-model.py').write_text(first.pretty_text)
    assert named().filename == first.filename
    other = named('--seed', '1')
    assert other.filename.endswith('my-model_2.py')
    assert other.experiment_name == 'my-model'
    # a run may be resumed many times
    resumed = named(resume=True, load_from='epoch_1.pth')
    assert resumed.filename.endswith('my-model_2.py')
    (work_dir / 'my-model_2.py').write_text(resumed.pretty_text)
    assert named(resume=True, load_from='epoch_2.pth').filename \
        == resumed.filename
    assert named(load_from='epoch_2.pth').filename.endswith('my-model_3.py')


def test_every_run_writes_plain_checkpoints(train_config):
    hook = dict(type='hpvit_mm.PlainCheckpointHook')
    assert train_config().custom_hooks == [hook]
    ema = "custom_hooks = [dict(type='EMAHook')]"
    assert train_config(more=ema).custom_hooks == [dict(type='EMAHook'), hook]
    own = f'custom_hooks = [{hook}]'
    assert train_config(more=own).custom_hooks == [hook]


@pytest.mark.parametrize('scope, hook', [
    ('mmpretrain', dict(type='VisualizationHook', enable=True, interval=1)),
    ('mmdet', dict(type='DetVisualizationHook', draw=True)),
    ('mmseg', dict(type='SegVisualizationHook', draw=True, interval=1))])
def test_pictures(scope, hook, tmp_path):
    cfg = Config(dict(default_scope=scope, visualizer=dict(type='V')))
    folder = str(tmp_path / 'new')
    outputs.set_show_dir(cfg, folder, tta=False)
    made = dict(cfg.default_hooks.visualization)
    places = dict(mmpretrain='out_dir', mmdet='test_out_dir')
    if scope in places:
        assert made.pop(places[scope]) == folder
    else:
        assert cfg.visualizer.vis_backends[0]['img_save_dir'] == folder
    assert made == hook


def test_flipped_pipeline_ends_as_the_plain_one():
    pipeline = [ConfigDict(type='Load'), ConfigDict(type='PackDetInputs')]
    load, augment = outputs.with_flip(pipeline)
    assert load.type == 'Load'
    flips, (pack, ) = augment.transforms
    assert [flip.prob for flip in flips] == [1., 0.]
    assert {'flip', 'flip_direction', 'img_id'} <= set(pack.meta_keys)


@pytest.mark.parametrize('more, says', [
    ('', 'auto_scale_lr.base_batch_size'),
    ('auto_scale_lr = dict(base_batch_size=4)\n'
     'optim_wrapper["optimizer"].pop("lr")', 'optim_wrapper.optimizer.lr')])
def test_what_scaling_needs(more, says, train_config):
    with pytest.raises(UserError, match=says):
        train_config('--auto-scale-lr', more=more)


def test_tests_run_on_whole_models(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text(CONFIG.format(scope='mmdet') + """
runner_type = 'FlexibleRunner'
strategy = dict(type='hpvit_mm.FSDPStrategy')
""")
    cfg = settings.test_config(arguments.parse_test([str(path), 'a.pth']))
    assert 'runner_type' not in cfg and 'strategy' not in cfg


def test_a_config_outside_inherits_by_the_name_of_the_package(tmp_path):
    """Classes of the hosts are found, which mmengine's scope prevents."""
    path = tmp_path / 'own.py'
    path.write_text("_base_ = 'hpvit_mm::imagenet/"
                    "hpvit-tiny-avg-mae_8xb128-100e_in1k.py'")
    model = skeleton(settings.load_config(str(path)))
    assert type(model).__name__ == 'ImageClassifier'
    assert '_scope_' not in settings.load_config(str(path)).pretty_text
