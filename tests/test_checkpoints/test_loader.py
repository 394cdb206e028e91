"""What mmengine reads when it trains, resumes and tests."""
import itertools
import subprocess
import sys
from argparse import Namespace

import pytest
import torch
from malicious_files import CASES, NAMES, READ, shell
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner, checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn
from torch.utils.data import Dataset

from hpvit_mm.checkpoints import loader
from hpvit_mm.engine import run
from hpvit_mm.errors import UserError


def are_ours():
    return [one.__module__ == loader.__name__
            for one in CheckpointLoader._schemes.values()]


@pytest.fixture(autouse=True)
def mmengines(monkeypatch):
    """mmengine's own loaders, whatever other tests have registered."""
    own = {}
    for prefixes, name in (
            ([''], 'local'), (['http://', 'https://'], 'http'),
            (['pavi://'], 'pavi'), (['mmcls://'], 'mmcls'),
            ([r'(\S+\:)?s3://', r'(\S+\:)?petrel://'], 'ceph'),
            (['modelzoo://', 'torchvision://'], 'torchvision'),
            (['open-mmlab://', 'openmmlab://'], 'openmmlab')):
        function = getattr(checkpoint, f'load_from_{name}')
        own.update(dict.fromkeys(prefixes, function))
    assert own.keys() == CheckpointLoader._schemes.keys()
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        dict(sorted(own.items(), key=lambda one: one[0],
                                    reverse=True)))


@pytest.fixture
def ours(mmengines):
    loader.register_loaders()


# ------------------------------------------------------------ registration


def test_every_address_is_ours(ours):
    assert all(are_ours())


def test_importing_changes_nothing():
    code = ('import hpvit_mm.checkpoints.loader, hpvit_mm.models;'
            'import hpvit_mm.engine.run;'
            'from mmengine.runner.checkpoint import CheckpointLoader as C;'
            'print({one.__module__ for one in C._schemes.values()})')
    said = subprocess.run([sys.executable, '-W', 'ignore', '-c', code],
                          capture_output=True, text=True, check=True).stdout
    assert "{'mmengine.runner.checkpoint'}" in said


@pytest.mark.parametrize('name', ['train', 'test'])
def test_the_tools_register(name, monkeypatch):

    class Stop(Exception):
        pass

    def stop(*args):
        raise Stop

    monkeypatch.setattr(run.arguments, f'parse_{name}',
                        lambda argv: Namespace(launcher='none'))
    monkeypatch.setattr(run.settings, {'train': 'training_config',
                                       'test': 'test_config'}[name], stop)
    assert not any(are_ours())
    with pytest.raises(Stop):
        getattr(run, name)([])
    assert all(are_ours())


# ----------------------------------------------------------------- reading


def load(path, **kwargs):
    return CheckpointLoader.load_checkpoint(str(path), **kwargs)


@pytest.mark.parametrize('write, outcome', CASES, ids=NAMES)
def test_nothing_is_executed(write, outcome, ours, tmp_path):
    """The table of malicious files, as mmengine reads them."""
    write(tmp_path / 'evil', tmp_path / 'executed')
    if outcome == READ:
        assert 'config' not in load(tmp_path / 'evil').get('meta', {})
    else:
        with pytest.raises(UserError) as error:
            load(tmp_path / 'evil')
        assert outcome in str(error.value)
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('safe', [True, False], ids=['ours', 'mmengine'])
def test_files_from_the_web(safe, tmp_path, monkeypatch):
    """torch.hub, which mmengine uses, allows all that pickle can do."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    torch.save(dict(x=shell(tmp_path / 'executed')),
               tmp_path / 'hub' / 'checkpoints' / 'evil.pth')
    if safe:
        loader.register_loaders()
        with pytest.raises(UserError, match='posix.system'):
            load('https://host/evil.pth')
    else:
        load('https://host/evil.pth')
    assert (tmp_path / 'executed').exists() is not safe


@pytest.mark.parametrize('place', [
    {}, dict(map_location=None), dict(map_location='cpu'),
    dict(map_location=torch.device('cpu')),
    dict(map_location=lambda storage, location: storage)])
@pytest.mark.parametrize('new', [True, False])
def test_places_for_tensors(place, new, ours, tmp_path):
    torch.save(dict(a=torch.ones(3)), tmp_path / 'a.pth',
               _use_new_zipfile_serialization=new)
    content = load(tmp_path / 'a.pth', **place)
    # mmengine overwrites files in place
    (tmp_path / 'a.pth').write_bytes(b'')
    assert content['a'].sum() == 3 and content['a'].device.type == 'cpu'


def test_names_of_mmengine(ours, tmp_path, monkeypatch):
    tensors = {'backbone.a': torch.ones(3), 'head.b': torch.ones(1)}
    torch.save(dict(state_dict=tensors), tmp_path / 'a.pth')
    for zoo in loader.ZOOS:
        monkeypatch.setitem(loader.ZOOS, zoo,
                            lambda: {'net': str(tmp_path / 'a.pth')})
        names = {'a'} if zoo == 'mmcls://' else tensors.keys()
        assert load(zoo + 'net')['state_dict'].keys() == names
        with pytest.raises(UserError, match='other is no model'):
            load(zoo + 'other')


def test_mmengine_still_has_the_lists_of_names():
    assert loader.ZOOS['openmmlab://']()['detectron2/resnet50_caffe']
    assert loader.ZOOS['mmcls://']()['vgg11'].startswith('http')


@pytest.mark.parametrize('name', ['s3://a/b', 'petrel://a', 'x:s3://b',
                                  'pavi://a'])
def test_closed_storages(name, ours):
    with pytest.raises(UserError, match='fetch the file'):
        load(name)


# ---------------------------------------------------------------- resuming


COUNT = itertools.count()  # runs of one name share what mmengine logs


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, *inputs, mode='tensor'):
        out = self.linear(torch.stack(inputs) if len(inputs) > 1
                          else inputs[0])
        return dict(loss=out.pow(2).mean()) if mode == 'loss' else [out]


class Data(Dataset):
    metainfo = dict(classes=('a', 'b'))

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.full((2, ), float(index))


class Better(BaseMetric):
    """A score that grows with every call."""
    score = 0

    def process(self, batch, outputs):
        self.results.append(1)

    def compute_metrics(self, results):
        Better.score += 1
        return dict(score=Better.score)


def train(work_dir, epochs, plain=True, **kwargs):
    def data():
        return dict(batch_size=2, dataset=Data(),
                    sampler=dict(type='DefaultSampler', shuffle=False))

    hooks = [dict(type='EMAHook')]
    if plain:
        hooks.append(dict(type='hpvit_mm.PlainCheckpointHook'))
    torch.manual_seed(0)
    runner = Runner(
        Model(), str(work_dir), experiment_name=f'run {next(COUNT)}',
        train_dataloader=data(), val_dataloader=data(), val_cfg=dict(),
        val_evaluator=Evaluator(Better()),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=.1)),
        param_scheduler=dict(type='LinearLR', start_factor=.1,
                             by_epoch=False, end=9),
        custom_hooks=hooks, log_level='WARNING',
        default_hooks=dict(checkpoint=dict(
            type='CheckpointHook', save_best='score', rule='greater',
            max_keep_ckpts=2)),
        **kwargs)
    runner.train()
    return runner


def test_resume_from_what_mmengine_writes(ours, tmp_path):
    """Its own checkpoints have objects that torch refuses."""
    train(tmp_path, 2, plain=False)
    file = tmp_path / 'epoch_2.pth'
    refused = torch.serialization.get_unsafe_globals_in_checkpoint(file)
    assert 'builtins.getattr' in refused
    resumed = train(tmp_path, 3, resume=True, load_from=str(file))
    whole = train(tmp_path / 'whole', 3, plain=False)
    for one, other in zip(resumed.model.parameters(),
                          whole.model.parameters()):
        assert torch.equal(one, other)
    curve = resumed.message_hub.log_scalars['train/loss']
    assert isinstance(curve, HistoryBuffer)
    assert curve.data[0].tolist() == whole.message_hub.log_scalars[
        'train/loss'].data[0].tolist()
    # the best one of before is replaced, as it should be
    assert [path.name for path in tmp_path.glob('best*')] == [
        'best_score_epoch_3.pth']


def text_of_config(content, victim):
    content['meta']['config'] = f'_ = __import__("shutil").rmtree("{victim}")'


def text_of_cfg(content, victim):
    content['meta']['cfg'] = f'_ = __import__("shutil").rmtree("{victim}")'


def best_checkpoint(content, victim):
    content['message_hub']['runtime_info']['best_ckpt'] = str(victim)


def a_file_as_best_checkpoint(content, victim):
    content['message_hub']['runtime_info']['best_ckpt'] = str(victim / 'file')


def best_checkpoint_of_another(content, victim):
    (victim / 'best_x.pth').touch()
    content['message_hub']['runtime_info']['best_ckpt'] = str(
        victim / 'best_x.pth')


# (what is changed in a checkpoint of plain data, whether a resumed run would
# then delete something with mmengine's own loader); with ours, none does
ATTACKS = [(text_of_config, True), (text_of_cfg, False),
           (best_checkpoint, True), (a_file_as_best_checkpoint, True),
           (best_checkpoint_of_another, True)]


@pytest.mark.parametrize('safe', [True, False], ids=['ours', 'mmengine'])
@pytest.mark.parametrize('attack, works', ATTACKS,
                         ids=[attack.__name__ for attack, _ in ATTACKS])
def test_resume_from_a_malicious_file(attack, works, safe, tmp_path):
    train(tmp_path / 'work', 1)
    file = tmp_path / 'work' / 'epoch_1.pth'
    content = torch.load(file)
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / 'file').touch()
    attack(content, victim)
    torch.save(content, file)
    before = sorted(victim.rglob('*'))
    if safe:
        loader.register_loaders()
    runner = train(tmp_path / 'work', 2, resume=True, load_from=str(file))
    assert runner.epoch == 2
    assert (sorted(victim.rglob('*')) == before) is (safe or not works)


def test_a_best_checkpoint_that_was_moved_is_found(ours, tmp_path):
    (tmp_path / 'best_x_epoch_1.pth').touch()
    info = dict(best_ckpt='/before/best_x_epoch_1.pth',
                best_ckpt_y='/before/best_y_epoch_1.pth',
                keep_ckpt_ids=[1, '2/../../x', None, 3], best_score=.5)
    torch.save(dict(message_hub=dict(runtime_info=info)), tmp_path / 'a.pth')
    assert load(tmp_path / 'a.pth')['message_hub']['runtime_info'] == dict(
        best_ckpt=str(tmp_path / 'best_x_epoch_1.pth'), keep_ckpt_ids=[1, 3],
        best_score=.5)


def test_load_from_and_init_cfg(ours, tmp_path):
    """The other ways of mmengine to read weights."""
    torch.save(dict(state_dict=dict(Model().state_dict(),
                                    x=shell(tmp_path / 'executed'))),
               tmp_path / 'evil.pth')
    torch.save(Model().state_dict(), tmp_path / 'good.pth')
    for name in ('evil.pth', 'good.pth'):
        model = Model()
        model.init_cfg = dict(type='Pretrained',
                              checkpoint=str(tmp_path / name))
        if name == 'evil.pth':
            with pytest.raises(UserError, match='posix.system'):
                model.init_weights()
        else:
            model.init_weights()
    assert not (tmp_path / 'executed').exists()
    assert torch.equal(model.linear.weight,
                       torch.load(tmp_path / 'good.pth')['linear.weight'])
