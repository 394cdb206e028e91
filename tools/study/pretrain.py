"""Pre-training in miniature: small networks, each by its own MAE.

Each is pre-trained on the same images for the same number of steps, and
fine-tuned as in tune.py. HPViT takes the weights of the plain network.
"""
import copy
import hashlib
import json
from pathlib import Path
from typing import Dict

from grid import HIERA, HIVIT, MINIATURES, PLAIN, SIDE, SWIN, Budget
from mmengine.config import Config
from tune import HERE, run, schedule, tune

# Network -> changes of configs/pretrain.py; 'hpvit' takes those of 'plain'.
DECODER = dict(embed_dims=96, num_layers=1, num_heads=3, img_size=SIDE)
MODELS = dict(
    plain=dict(backbone=dict(
        PLAIN, _delete_=True, type='hpvit_mm.HPViT', patch_stride=16,
        stage_depths=(12, ), with_cls_token=True),
        neck=dict(DECODER, in_channels=192)),
    hivit=dict(backbone=dict(HIVIT, _delete_=True, out_indices=(0, 1, 2)),
               neck=dict(DECODER, in_channels=16 * 48 + 4 * 96 + 192)),
    hiera=dict(backbone=dict(HIERA, _delete_=True, num_pools=2),
               mask_ratio=0.4, fixed_position=False,  # MAE-Lite's
               neck=dict(DECODER, in_channels=16 * 46 + 4 * 92 + 184 + 368)),
    swin=dict(type='hpvit_mm.GreenMIM', backbone=dict(
        SWIN, _delete_=True, type='hpvit_mm.MaskedSwin'),
        neck=dict(DECODER, in_channels=384, patch_size=32),
        head=dict(patch_size=32)),
)
MODELS['hpvit'] = MODELS['plain']


def pretrain_and_tune(budget: Budget, name: str, settings: dict, seed: int,
                      root: Path, folder: Path) -> dict:
    """Pre-train one network, if it is not done, fine-tune and test it.

    Args:
        budget: The budget.
        name: A network of ``MINIATURES``.
        settings: 'iterations' and 'batch' of the pre-training, and 'tune',
            the settings of the fine-tuning.
        seed, root, folder: As for :func:`tune`.

    Returns:
        The result of :func:`tune`.
    """
    model = MODELS[name]
    text = json.dumps([model, settings, seed], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()[:8]
    weights = folder.parent / f'mae-{name if name != "hpvit" else "plain"}' \
        f'-{seed}-{key}.pth'
    if not weights.exists():
        own = weights.with_suffix('')
        own.mkdir(exist_ok=True)
        config = write_config(budget, model, settings, seed, root, own)
        resume = ['--resume'] if list(own.glob('iter_*.pth')) else []
        run('train.py', config, '--work-dir', own, *resume,
            log=own / 'train.log')
        (own / f'iter_{settings["iterations"]}.pth').rename(weights)
    return tune(budget, 'classify', MINIATURES[name], settings['tune'], seed,
                root, weights, folder)


def write_config(budget: Budget, model: Dict[str, dict], settings: dict,
                 seed: int, root: Path, folder: Path) -> Path:
    """Write the config of a pre-training, and return its path."""
    data = budget.classification
    cfg = Config.fromfile(HERE / 'configs/pretrain.py')
    cfg.merge_from_dict(dict(model=copy.deepcopy(model)))  # it pops _delete_
    cfg.merge_from_dict({name: value for name, value in schedule(
        settings).items() if 'val_interval' not in name})
    cfg.train_cfg.pop('val_interval', None)
    pipeline = [dict(one) for one in cfg.train_pipeline]
    pipeline[1]['scale'] = SIDE
    cfg.train_pipeline = pipeline
    cfg.train_dataloader.update(
        batch_size=settings['batch'], num_workers=0, persistent_workers=False)
    cfg.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    cfg.train_dataloader.dataset = dict(
        type='CustomDataset', with_label=False, pipeline=pipeline,
        data_root=str((root / data.folder / data.train[0]).resolve()))
    cfg.randomness = dict(seed=seed)
    config = folder / 'config.py'
    cfg.dump(config)
    return config
