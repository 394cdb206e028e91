"""What backbones keep of an image for the backward pass, beside the formula.

Measured is on the CPU, in its bf16 autocast, with the norms in fp32 as the
autocast of GPUs computes them. The rest is the same there: what an operation
keeps is decided by its derivative, not by the device.
"""
from typing import Iterator, List, Optional, Sequence, Tuple

import torch
from torch import nn

from hpvit_mm.models import HPViT
from ..memory import kept_bytes
from .timing import Options, saved_bytes

# How the table tells which stages are checkpointed.
CHECKPOINTED = {
    '': (False, False, False, False),
    'with_cp at 1/4': (True, False, False, False),
    'with_cp at 1/4, 1/8': (True, True, False, False),
}


def run(options: Optional[Options] = None,
        sizes: Sequence[int] = (224, 512),
        layouts: Sequence[Sequence[int]] = ((2, 2, 6, 2), )) -> List[dict]:
    """Measure HPViT-B and ViT-B, and print a line for each.

    At 224 pixels one vector per image is made, else a map of each stage.

    Args:
        options: Not needed: bytes are no times.
        sizes: Sides of the images in pixels. 1024 takes minutes, and 8 GiB.
        layouts: Blocks per stage of each HPViT.

    Returns:
        A row per backbone and size: case, variant, MiB (of an image), computed
        (MiB by formula), copies (MiB of bf16 weights, once), and at 224 pixels
        fp32 (MiB without autocast).
    """
    rows = []
    for size in sizes:
        case = f'kept of an image of {size} pixels'
        print(f'{case}, MiB\n{"":34}measured computed   copies  in fp32')
        for name, model in backbones(size, layouts):
            kept, copies = kept_of_image(model, size)
            row = dict(case=case, variant=name, MiB=kept / 2**20,
                       computed=sum(one for one, _ in kept_bytes(
                           model, (size, size))) / 2**20,
                       copies=copies / 2**20)
            line = f'  {name:31}'
            for key in ('MiB', 'computed', 'copies'):
                line += f' {row[key]:8.1f}'
            if size == 224:
                row['fp32'] = saved_bytes(model, image(1, size)) / 2**20
                line += f' {row["fp32"]:8.1f}'
            print(line, flush=True)
            rows.append(row)
    return rows


def backbones(size: int, layouts: Sequence[Sequence[int]]
              ) -> Iterator[Tuple[str, HPViT]]:
    """The backbones to measure, each with the name of its row."""
    options = dict(window_size=14, out_type='avg_featmap') if size == 224 \
        else dict(window_size=16)
    for depths in layouts:
        for pooling in ('avg', 'conv'):
            model = HPViT('base', stage_depths=depths, pooling=pooling,
                          **options)
            name = f'{"-".join(map(str, depths))} {pooling}'
            for checkpointed, with_cp in CHECKPOINTED.items():
                stages = [s for s in range(4) for _ in range(depths[s])]
                for stage, block in zip(stages, model.blocks):
                    block.with_cp = with_cp[stage]
                yield f'{name} {checkpointed}', model
    yield 'plain', HPViT('base', patch_stride=16, stage_depths=(12, ),
                         **options)


def kept_of_image(model: nn.Module, size: int) -> Tuple[int, int]:
    """Bytes kept of an image in bf16 autocast, and of copies of weights.

    The copies are made once for all images, of any size: two small images
    tell what they are. Where windows are padded, the embedding keeps one more,
    which counts for the image.
    """
    hooks = [module.register_forward_pre_hook(
        lambda _, inputs: (inputs[0].float(), ))
             for module in model.modules() if isinstance(module, nn.LayerNorm)]
    # The matrices by which positions are resampled are no image's.
    trained = model.pos_embed.requires_grad
    model.pos_embed.requires_grad_(False)
    with torch.autocast('cpu', torch.bfloat16):
        one, two = (saved_bytes(model, image(n, 64)) for n in (1, 2))
        copies = 2 * one - two
        kept = saved_bytes(model, image(1, size)) - copies
    model.pos_embed.requires_grad_(trained)
    for hook in hooks:
        hook.remove()
    return kept, copies


def image(number: int, size: int) -> torch.Tensor:
    return torch.zeros(number, 3, size, size)
