"""Checkpoints that mmengine reads when it trains, resumes and tests."""
import itertools

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
from hpvit_mm.errors import UserError


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


# ----------------------------------------------------------------- reading


def load(path, **kwargs):
    return CheckpointLoader.load_checkpoint(str(path), **kwargs)


def test_all_prefixes_have_our_loaders(ours):
    assert {one.__module__ for one in CheckpointLoader._schemes.values()} == {
        loader.__name__}


@pytest.mark.parametrize('write', [
    pytest.param(write, id=name) for name, (write, outcome)
    in zip(NAMES, CASES) if outcome == READ])
def test_nothing_is_left_to_execute(write, ours, tmp_path):
    write(tmp_path / 'evil', tmp_path / 'executed')
    assert 'config' not in load(tmp_path / 'evil').get('meta', {})


def test_weights_that_are_not_numbers(ours, tmp_path):
    tensors = {'mask': torch.tensor(float('-inf')), 'a': torch.ones(2)}
    torch.save(dict(state_dict=tensors), tmp_path / 'a.pth')
    load(tmp_path / 'a.pth')
    tensors['a'][1] = float('nan')
    torch.save(dict(state_dict=tensors), tmp_path / 'a.pth')
    with pytest.raises(UserError, match='a.pth has NaN in a:'):
        load(tmp_path / 'a.pth')


def test_files_from_the_web(ours, tmp_path, monkeypatch):
    """torch.hub, which mmengine uses, allows all that pickle can do."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    (tmp_path / 'hub' / 'checkpoints').mkdir(parents=True)
    torch.save(dict(x=shell(tmp_path / 'executed')),
               tmp_path / 'hub' / 'checkpoints' / 'evil.pth')
    with pytest.raises(UserError, match='posix.system'):
        load('https://host/evil.pth')
    assert not (tmp_path / 'executed').exists()


@pytest.mark.parametrize('place', [
    {}, dict(map_location='cpu'),
    dict(map_location=lambda storage, location: storage)])
def test_places_for_tensors(place, ours, tmp_path):
    torch.save(dict(a=torch.ones(3)), tmp_path / 'a.pth')
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
        with pytest.raises(UserError, match='other is not a model'):
            load(zoo + 'other')


@pytest.mark.parametrize('name', ['s3://a/b', 'x:s3://b', 'pavi://a'])
def test_closed_storages(name, ours):
    with pytest.raises(UserError, match='download the file'):
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


def test_resume_from_a_malicious_file(ours, tmp_path):
    """With mmengine's own loader, each of these deletes the folder."""
    train(tmp_path / 'work', 1)
    victim = tmp_path / 'victim'
    victim.mkdir()
    (victim / 'best_x.pth').touch()
    for attack in ('config', victim, victim / 'best_x.pth'):
        content = torch.load(tmp_path / 'work' / 'epoch_1.pth')
        if attack == 'config':
            content['meta']['config'] = \
                f'_ = __import__("shutil").rmtree("{victim}")'
        else:
            content['message_hub']['runtime_info']['best_ckpt'] = str(attack)
        file = tmp_path / 'work' / 'evil.pth'
        torch.save(content, file)
        assert train(tmp_path / 'work', 2, resume=True,
                     load_from=str(file)).epoch == 2
        assert (victim / 'best_x.pth').exists()


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
