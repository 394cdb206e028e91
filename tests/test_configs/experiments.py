"""The experiments of configs/, and how tests make them small."""
import functools
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS
from mmengine.runner import Runner, set_random_seed
from mmpretrain.models import SwinTransformer

from hpvit_mm.models.backbones import archs, hiera, hivit

ROOT = Path(__file__).parents[2]
SAMPLES = {
    'ImageNet': 'imagenet',
    'CocoDataset': 'coco/',
    'ADE20KDataset': 'ade/ADEChallengeData2016',
    'BaseSegDataset': 'ade/ADEChallengeData2016',
    'CityscapesDataset': 'cityscapes/',
}
DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
          'eight', 'nine')
CHANNELS, QUERIES = 16, 20  # of small models
# Type of a backbone -> its architectures, and a narrow one's entries.
NARROW = {
    'hpvit_mm.HPViT': (archs.ARCHS, dict(
        embed_dims=CHANNELS, num_heads=1, feedforward_channels=2 * CHANNELS)),
    'hpvit_mm.HiViT': (hivit.ARCHS, dict(embed_dims=CHANNELS, num_heads=1)),
    'hpvit_mm.Hiera': (hiera.ARCHS, dict(embed_dims=4, num_heads=1)),
    'mmpretrain.SwinTransformer': (SwinTransformer.arch_zoo, dict(
        embed_dims=CHANNELS // 2, num_heads=[1] * 4)),
}


def configs():
    """Paths of all experiments with a task, relative to the repository."""
    return [path for path in paths() if '/pretrain/' not in path]


def paths():
    """Paths of all experiments and pre-trainings."""
    return sorted(path.relative_to(ROOT).as_posix()
                  for path in ROOT.glob('configs/[!_]*/*.py'))


@functools.lru_cache(maxsize=None)
def read(name) -> Config:
    """A config, of which tests that change it take a copy."""
    return Config.fromfile(ROOT / name)


def on_samples(dataset: dict, root) -> dict:
    """The data set, reading the sample data of its layout."""
    if 'dataset' in dataset:
        return dict(dataset, dataset=on_samples(dataset['dataset'], root))
    dataset = dict(dataset, data_root=f'{root}/{SAMPLES[dataset["type"]]}')
    if dataset['type'] == 'CocoDataset':
        dataset['metainfo'] = dict(classes=DIGITS)
    return dataset


def make_small(cfg: Config) -> None:
    """Make the model 16 channels wide, with all its parts.

    Images, depths, windows, losses and steps stay as they are.
    """
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(name):
            # detectors have no BN, which needs two
            several = 'train' in name and cfg.default_scope != 'mmdet'
            cfg[name].update(num_workers=0, persistent_workers=False,
                             batch_size=2 if several else 1)
            if cfg.default_scope == 'mmpretrain':
                cfg[name].collate_fn = dict(type='default_collate')
    if cfg.get('tta_pipeline'):  # two of the scales, to save time
        scales = cfg.tta_pipeline[1].transforms[0]
        del scales[2:]
    backbone = cfg.model.backbone
    known, entries = NARROW[backbone.type]
    arch = backbone.arch
    arch = dict(known[arch] if isinstance(arch, str) else arch, **entries)
    if cfg.model.type == 'DINO':  # whose decoder works at no other width
        cfg.model.encoder.num_layers = cfg.model.decoder.num_layers = 1
    else:
        narrow(cfg.model)
    backbone.arch = arch
    backbone.init_cfg = None
    if backbone.type == 'mmpretrain.SwinTransformer':
        network = MODELS.build(backbone)
        channels = [network.num_features[i] for i in network.out_indices]
    else:
        with torch.device('meta'):
            channels = MODELS.build(backbone).out_channels
    reshaped = 'in_channels' in (cfg.model.get('neck') or {})
    for name in ('neck', 'decode_head', 'head', 'auxiliary_head'):
        head = cfg.model.get(name)
        if head and 'in_channels' in head and (
                name == 'neck' or not reshaped):
            several = isinstance(head.in_channels, (list, tuple))
            if several and len(channels) > 1:
                head.in_channels = list(channels)
            else:
                head.in_channels = [channels[-1]] if several else \
                    channels[head.get('in_index', -1)]


def narrow(node) -> None:
    """Give the neck and the heads few channels."""
    if isinstance(node, (list, tuple)):
        for one in node:
            narrow(one)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key.endswith('channels') or key in ('input_features',
                                               'embed_dims', 'embed_dim'):
            several = isinstance(value, (list, tuple))
            node[key] = [CHANNELS] * len(value) if several else CHANNELS
        elif key == 'num_feats':  # of sine positions: half of the channels
            node[key] = CHANNELS // 2
        elif key == 'num_groups' and value:
            node[key] = 1
        elif key == 'num_queries':
            node[key] = QUERIES
        else:
            narrow(value)
    if node.get('type') == 'hpvit_mm.SimpleFeaturePyramid':
        node['out_channels'] = CHANNELS
    if node.get('type') == 'FCNHead' and node.get('num_convs') == 0:
        node['channels'] = CHANNELS * len(node['in_channels'])


def learning_rates(cfg: Config, epoch_length: int) -> list:
    """The base learning rate of every iteration."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))],
                                cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(one), default_args=dict(
            optimizer=optimizer, epoch_length=epoch_length))
        for one in cfg.param_scheduler]
    rates = []
    for iteration in range(cfg.train_cfg.get('max_iters') or
                           cfg.train_cfg.max_epochs * epoch_length):
        rates.append(optimizer.param_groups[0]['lr'])
        if not iteration:  # or a warning says that a scheduler steps first
            optimizer.step()
        for one in schedulers:
            if not one.by_epoch or (iteration + 1) % epoch_length == 0:
                one.step()
    return rates


def build(model: dict) -> torch.nn.Module:
    """The model, with BN where several GPUs would share it."""
    set_random_seed(0)  # of the augmentation, too
    return revert_sync_batchnorm(MODELS.build(model))


def train_step(cfg: Config) -> torch.nn.Module:
    """Train for one step; losses, gradients and weights must be sound.

    Returns:
        The model.
    """
    model = build(cfg.model)
    model.init_weights()  # DINO's embeddings of the levels are empty memory
    cfg.optim_wrapper.pop('accumulative_counts', None)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {name: param.clone() for name, param in model.named_parameters()}
    reached = set()
    for name, param in model.named_parameters():
        if param.requires_grad:
            param.register_hook(lambda grad, name=name: reached.add(name))
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    losses = model.train().train_step(next(iter(loader)), wrapper)
    assert all(torch.isfinite(loss).all() for loss in losses.values())
    for name, param in model.named_parameters():
        assert torch.isfinite(param).all(), name
        assert param.requires_grad == (name in reached), name
        if not param.requires_grad:
            assert torch.equal(param, before[name]), name
    assert any(not torch.equal(param, before[name])
               for name, param in model.named_parameters())
    return model


def evaluate(model: torch.nn.Module, loader: dict, evaluator: dict) -> dict:
    """Predict one batch and put it through the metrics."""
    loader = Runner.build_dataloader(loader)
    evaluator = Evaluator(evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    batch = next(iter(loader))
    with torch.no_grad():
        samples = model.eval().test_step(batch)
    evaluator.process(samples, batch)
    # COCO's metric wants no more than it has seen
    return evaluator.evaluate(len(samples))
