#!/usr/bin/env python
"""Time and memory of a step of pre-training and fine-tuning, on any device.

All networks in turn, several times over, so that a busy machine slows all of
them: MAE of ViT-B on the visible patches and, to compare, on all patches; MAE
of HPViT-B and HiViT-B; GreenMIM and mmpretrain's SimMIM of Swin-B; and the
classifiers that are fine-tuned from them.
"""
import argparse
import sys
import time
from pathlib import Path
from statistics import median

# The package beside this file, also where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hpvit_mm import environment  # noqa: E402

environment.prepare()

import torch  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmpretrain.registry import MODELS  # noqa: E402

from hpvit_mm.analysis.count import LiveMemory  # noqa: E402
from hpvit_mm.engine.settings import load_config  # noqa: E402
from hpvit_mm.models.layers.masking import (select_units,  # noqa: E402
                                            visible_units)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
MODELS_OF = {
    'MAE, ViT-B': 'pretrain/mae_vit-base_8xb512-400e_in1k.py',
    'MAE, ViT-B on all patches': 'pretrain/mae_vit-base_8xb512-400e_in1k.py',
    'MAE, HPViT-B': 'pretrain/mae_hpvit-base-conv-mae_8xb128x4-20e_in1k.py',
    'MAE, HiViT-B': 'pretrain/mae_hivit-base_8xb512-400e_in1k.py',
    'GreenMIM, Swin-B': 'pretrain/greenmim_swin-base_8xb256-800e_in1k.py',
    'SimMIM, Swin-B': None,  # mmpretrain's
    'fine-tuning, ViT-B': 'imagenet/vit-base-mae_8xb128-100e_in1k.py',
    'fine-tuning, HPViT-B, conv':
        'imagenet/hpvit-base-conv-mae_8xb128-100e_in1k.py',
    'fine-tuning, HPViT-B, avg':
        'imagenet/hpvit-base-avg-mae_8xb128-100e_in1k.py',
    'fine-tuning, HiViT-B': 'imagenet/hivit-base-mae_8xb128-100e_in1k.py',
    'fine-tuning, Swin-B': 'imagenet/swin-base-greenmim_8xb128-100e_in1k.py',
}
SIMMIM = dict(
    type='SimMIM',
    data_preprocessor=dict(type='SelfSupDataPreprocessor'),
    backbone=dict(type='SimMIMSwinTransformer', arch='base', img_size=224,
                  drop_path_rate=0.),
    neck=dict(type='SimMIMLinearDecoder', in_channels=1024,
              encoder_stride=32),
    head=dict(type='SimMIMHead', patch_size=4, loss=dict(
        type='PixelReconstructionLoss', criterion='L1', channel=3)))


def build(name: str) -> torch.nn.Module:
    """The model of a case, in training mode."""
    init_default_scope('mmpretrain')
    path = MODELS_OF[name]
    cfg = load_config(str(CONFIGS / path)).model if path else SIMMIM
    return MODELS.build(cfg).train()


def loss_of(name: str, model: torch.nn.Module,
            images: torch.Tensor) -> torch.Tensor:
    """The loss of a batch of images (B, 3, 224, 224); of scores the mean."""
    if 'fine-tuning' in name:
        return model.head(model.extract_feat(images)).mean()
    if MODELS_OF[name] is None:
        units = torch.rand(len(images), 7, 7, device=images.device) < 0.6
        # units of 32 pixels -> patches of 4
        mask = units.float().repeat_interleave(8, 1).repeat_interleave(8, 2)
        latent = model.backbone(images, mask)
        return model.head.loss(model.neck(latent[0]), images, mask)
    if 'all patches' not in name:
        return model.loss(images, [])['loss']
    mask = model.random_mask(images)
    features, = model.backbone(model.hide(images, mask))
    index = visible_units(mask, mask.shape[1:], images.device)
    # (B, C, h, w) -> (B, N, 1, C) -> (B, V, 1, C)
    features = features.flatten(2).transpose(1, 2).unsqueeze(2)
    pred = model.neck([select_units(features, index)], mask, 16)
    return model.head.loss(pred, images, mask.flatten(1).to(pred))


def step(name: str, model: torch.nn.Module, images: torch.Tensor) -> float:
    """Seconds of a forward and a backward pass."""
    model.zero_grad()
    synchronise(images)
    start = time.perf_counter()
    loss_of(name, model, images).backward()
    synchronise(images)
    return time.perf_counter() - start


def synchronise(images: torch.Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize()


def peak(name: str, model: torch.nn.Module, images: torch.Tensor) -> int:
    """Peak of the bytes of a step, without parameters and gradients."""
    model.zero_grad()
    with LiveMemory() as memory:
        loss = loss_of(name, model, images)
    del loss
    return memory.peak


def main(argv=None) -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--device', default='cuda' if
                        torch.cuda.is_available() else 'cpu')
    args = parser.parse_args(argv)
    torch.manual_seed(0)
    images = torch.randn(args.batch, 3, 224, 224, device=args.device)
    names = list(MODELS_OF)
    models = {name: build(name).to(args.device) for name in names}
    memory = {name: peak(name, models[name], images) for name in names}
    times = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            times[name].append(step(name, models[name], images))
    print(f'{args.batch} images, fp32, {args.device}, torch '
          f'{torch.__version__}, median (least) of {args.rounds} steps')
    for name in names:
        print(f'{name:27} {median(times[name]):7.2f} s ({min(times[name]):.2f}'
              f') {memory[name] / 2**30:6.2f} GiB of activations')
    return 0


if __name__ == '__main__':
    sys.exit(main())
