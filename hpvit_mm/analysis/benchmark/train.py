"""A training step at 224 pixels, and what is kept for backward passes."""
from typing import Dict, List

import torch
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from . import memory
from .networks import (HostHPViT, check_flash, classifiers, compute,
                       host_name, hpvit, nominal_macs, variants)
from .timing import (Options, check_equal, compare, difference,
                     saved_bytes)

BATCH = dict(cpu=1, cuda=128)


def run(options: Options) -> List[dict]:
    """HPViT-B of mmpretrain's parts, ours, and a plain ViT."""
    x = torch.randn(BATCH[options.device], 3, 224, 224)
    ours = hpvit(14, out_type='avg_featmap')
    host = HostHPViT(ours)
    error = max(check_equal(ours, host, x[:1]),
                check_gradients(ours, host, x[:1]))
    print('outputs and gradients equal to those of the network of '
          f"mmpretrain's parts to {error:.1e}")
    plain = "mmpretrain's ViT-B/16"
    models = {"HPViT-B of mmpretrain's parts": host, 'ours, windows': ours,
              plain: classifiers()[plain]}
    found = []
    for name, model in models.items():
        nominal = None if name == plain else nominal_macs(ours, x)
        found += variants(name, model, x, options, nominal, train=True)
    check_flash([ours], x[:2], options, train=True)
    rows = compare(
        f'classification, forward and backward, 224, batch {len(x)}', found,
        options)
    rows += kept(models, x[:1].to(options.device))
    return rows + memory.run()


def kept(models: Dict[str, nn.Module], x: Tensor) -> List[dict]:
    """What is saved for the backward pass, in fp32."""
    sizes = {name: saved_bytes(model, x) / 2**20
             for name, model in models.items()}
    first = next(iter(sizes.values()))
    title = f'saved for the backward pass, {x.shape[-1]}, batch {len(x)}'
    print(title)
    for name, size in sizes.items():
        print(f'  {name:42} {size:8.1f} MiB {size / first:4.2f}x')
    return [dict(case=title, variant=name, mib=size, ratio=size / first)
            for name, size in sizes.items()]


def check_gradients(ours: HPViT, theirs: HostHPViT, x: Tensor,
                    tolerance: float = 2e-5) -> float:
    """The largest relative difference of gradients of the blocks' weights."""
    gradients = []
    for model, layers, name_of in ((ours, ours.blocks, str),
                                   (theirs, theirs.layers, host_name)):
        model.zero_grad(set_to_none=True)
        compute(model, x, train=True)
        gradients.append([
            layer.get_parameter(name_of(name)).grad
            for layer, block in zip(layers, ours.blocks)
            for name, _ in block.named_parameters()])
    error = difference(*gradients)
    if not error < tolerance:
        raise UserError(f'gradients differ by {error:.2g}, more than '
                        f'{tolerance:g}: times cannot be compared')
    return error
