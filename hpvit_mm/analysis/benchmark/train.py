"""A training step at 224 pixels, and what it keeps for its backward pass."""
from typing import List

import torch
from torch import Tensor, nn

from .networks import HostHPViT, hpvit
from .timing import Options, Variant, check_equal, compare, saved_bytes


def run(options: Options) -> List[dict]:
    x = torch.randn(1, 3, 224, 224)
    ours = hpvit(14, out_type='avg_featmap')
    host = HostHPViT(ours)
    check_equal(ours, host, x)
    rows = compare('classification, forward and backward, 224, batch 1', [
        Variant("of mmpretrain's parts", lambda: train_step(host, x), 1),
        Variant('ours, windows', lambda: train_step(ours, x), 1)], options)
    memory = {name: saved_bytes(model, x) / 2**20
              for name, model in (("of mmpretrain's parts", host),
                                  ('ours, windows', ours))}
    first = next(iter(memory.values()))
    print('saved activations, 224, batch 1')
    for name, size in memory.items():
        print(f'  {name:42} {size:9.1f} MiB  {size / first:5.2f}x')
    return rows + [dict(case='saved activations', variant=name, MiB=size,
                        ratio=size / first) for name, size in memory.items()]


def train_step(model: nn.Module, x: Tensor) -> None:
    """A forward and a backward pass."""
    model.zero_grad(set_to_none=True)
    sum(out.sum() for out in model(x)).backward()
