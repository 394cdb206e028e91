"""Checkpoints of tensors and plain values."""
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub

from hpvit_mm.engine import PlainCheckpointHook


def checkpoint():
    """A checkpoint as mmengine saves it, with all that torch refuses."""
    hub = MessageHub('test_plain_checkpoint')
    for loss in (3., 2., 1.):
        hub.update_scalar('train/loss', loss)
    hub.update_info('best_score', np.float64(0.5))
    return dict(
        meta=dict(
            epoch=1, seed=np.int64(3),
            dataset_meta=ConfigDict(classes=('a', 'b'),
                                    palette=np.eye(2, 3))),
        state_dict=OrderedDict(weight=torch.ones(2)),
        message_hub=hub.state_dict(),
        optimizer=dict(param_groups=[dict(lr=0.1)]),
        param_schedulers=[dict(base_values=[np.float64(0.1)])])


RUNNER = SimpleNamespace(cfg=ConfigDict(model=dict(backbone=dict(
    type='hpvit_mm.HPViT', arch='tiny', init_cfg=None))))


def test_round_trip(tmp_path):
    hook, saved = PlainCheckpointHook(), checkpoint()
    hook.before_save_checkpoint(RUNNER, saved)
    torch.save(saved, tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert loaded['meta'] == dict(
        backbone=dict(arch='tiny'), epoch=1, seed=3, dataset_meta=dict(
            classes=('a', 'b'), palette=[[1., 0., 0.], [0., 1., 0.]]))
    hook.after_load_checkpoint(None, loaded)
    curve = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(curve, HistoryBuffer)
    assert curve.data[0].tolist() == [3., 2., 1.]
    curve.update(0.)
    assert curve.current() == 0. and curve.mean(2) == 0.5


def test_running_state_is_left_alone():
    """The hub goes on counting after a save."""
    before = checkpoint()
    hub = before['message_hub']
    PlainCheckpointHook().before_save_checkpoint(RUNNER, before)
    assert isinstance(hub['log_scalars']['train/loss'], HistoryBuffer)


def test_files_of_others():
    """Checkpoints without the hook's traces are taken as they are."""
    hook = PlainCheckpointHook()
    for content in (dict(state_dict={}), checkpoint()):
        hook.after_load_checkpoint(None, content)
