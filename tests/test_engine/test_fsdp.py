"""Shared out among processes, a model learns what it would learn whole."""
import copy
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import RUNNERS, STRATEGIES
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP

from hpvit_mm.checkpoints.loader import register_loaders
from hpvit_mm.engine import FSDPStrategy
from hpvit_mm.models import HPViT

CONFIGS = Path(__file__).parents[2] / 'configs'
MINI = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
OPTIMIZER = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=1., eps=1.,  # or zero gradients' noise would grow
        weight_decay=0.1, fused=True),
    constructor='hpvit_mm.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.5, custom_keys={'blocks.1.mlp': dict(lr_mult=2.)}),
    clip_grad=dict(max_norm=0.01), accumulative_counts=2)


class Model(BaseModel):

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = HPViT(MINI, stage_depths=(1, 1, 1, 1),
                              out_indices=3, with_cp=True)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, images, mode):
        x = self.head(self.backbone(images)[-1])
        return dict(loss=x.square().mean()) if mode == 'loss' else x


def batches(part):
    """Images (B, 3, 32, 32); all, or every second one."""
    torch.manual_seed(1)
    return [[images[part]] for images in torch.randn(6, 4, 3, 32, 32)]


def whole(steps):
    """The model and its optimizer after some steps of one process."""
    model = Model()
    wrapper = build_optim_wrapper(model, copy.deepcopy(OPTIMIZER))
    for batch in batches(slice(None))[:steps]:
        model.train_step(batch, wrapper)
    return dict(state_dict=model.state_dict(), optimizer=wrapper.state_dict(),
                meta=dict(iter=steps))


def train(folder, steps, resume=None):
    """Some steps of a process of two, and a checkpoint."""
    strategy = FSDPStrategy(
        work_dir=str(folder), env_kwargs=dict(launcher='pytorch'))
    strategy.prepare(Model(), optim_wrapper=copy.deepcopy(OPTIMIZER),
                     dispatch_kwargs=dict(max_iters=6))
    if resume:
        strategy.resume(str(folder / resume))
    for batch in batches(slice(dist.get_rank(), None, 2))[steps]:
        strategy.model.train_step(batch, strategy.optim_wrapper)
    strategy.save_checkpoint(
        str(folder / f'{resume}-{steps.stop}'),
        extra_ckpt=dict(meta=dict(iter=steps.stop)))
    return strategy


def work(rank, folder):
    """Run one process of two."""
    os.environ['LOCAL_RANK'] = str(rank)
    dist.init_process_group(
        'gloo', f'file://{folder}/group', rank=rank, world_size=2)
    register_loaders()
    strategy = train(folder, slice(4))
    assert type(strategy.model.backbone.blocks[1]) is FSDP
    shares = sum(param.numel() for param in strategy.model.parameters())
    assert shares < 0.6 * sum(param.numel() for param in Model().parameters())
    train(folder, slice(4, 6), resume='None-4')
    train(folder, slice(4, 6), resume='whole')
    dist.barrier()
    os._exit(0)  # gloo may abort later, see hpvit_mm.engine.distributed


def test_an_experiment_lists_it_among_its_bases():
    path, = CONFIGS.glob('imagenet/hpvit-huge-conv-mae_*-fsdp-*.py')
    cfg = Config.fromfile(path)
    assert cfg.runner_type in RUNNERS
    assert STRATEGIES.get(cfg.strategy.type) is FSDPStrategy
    assert cfg.model.backbone.arch == 'huge'


@pytest.mark.slow
def test_it_learns_as_a_whole_model(tmp_path):
    """Rates, decay, clipping, accumulation, checkpoints and resuming."""
    four, six = whole(4), whole(6)
    four['optimizer']['base_param_settings']['lr'] = 0.5  # as in a warm-up
    torch.save(four, tmp_path / 'whole')
    mp.spawn(work, (tmp_path, ), nprocs=2)
    for name, steps, base_lr in (('None-4', four, 1.), ('None-4-6', six, 1.),
                                 ('whole-6', six, 0.5)):
        found = torch.load(tmp_path / name)
        assert found['state_dict'].keys() == steps['state_dict'].keys()
        torch.testing.assert_close(
            dict(found['state_dict']), dict(steps['state_dict']))
        found = found['optimizer']
        assert found['base_param_settings']['lr'] == base_lr
        assert_same_state(found, steps['optimizer'])


def assert_same_state(found, expected):
    """Parameters have names, which a run without FSDP takes by their order."""
    for one, two in zip(found['param_groups'], expected['param_groups']):
        for key in ('lr', 'weight_decay', 'depth'):
            assert one[key] == two[key]
        for name, number in zip(one['params'], two['params'], strict=True):
            torch.testing.assert_close(found['state'][name],
                                       expected['state'][number])
