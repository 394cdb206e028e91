"""HPViT against the same network built from the hosts' parts, side by side.

Ratios of one run count, absolute times do not: variants are timed in turn, in
another order in each round, by the processor time of one thread, which other
work on the machine disturbs little. Nothing is timed before both variants have
given the same results.
"""
import random
import statistics
import time
from typing import Callable, Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT

# What mmpretrain's blocks call the parameters of ours.
HOST_NAMES = (('norm1', 'ln1'), ('norm2', 'ln2'),
              ('mlp.fc1', 'ffn.layers.0.0'), ('mlp.fc2', 'ffn.layers.1'))


class HostHPViT(nn.Module):
    """An HPViT of mmpretrain's parts, with the weights of one of ours.

    The blocks are those of its ViTSAM, which are ViTDet's: windows are cut
    out and put back in each block, attention writes its matrix out. Average
    pooling and windows in stages 0 and 1, global attention behind.

    Args:
        model: Ours, with average pooling and attention in windows.
        relative_position: Whether to add decomposed relative positions, as
            ViTDet does; they are zero, so that results stay equal.
    """

    def __init__(self, model: HPViT, relative_position: bool = False,
                 size: int = 224) -> None:
        from mmpretrain.models.backbones.vit_sam import \
            TransformerEncoderLayer
        super().__init__()
        self.model = model
        self.layers = nn.ModuleList()
        stages = [s for s, depth in enumerate(model.stage_depths)
                  for _ in range(depth)]
        for stage, block in zip(stages, model.blocks):
            window = model.window_size if stage < 2 else 0
            layer = TransformerEncoderLayer(
                model.embed_dims, block.attn.num_heads,
                block.mlp.fc1.out_features, window_size=window,
                norm_cfg=dict(type='LN', eps=1e-6),
                use_rel_pos=relative_position,
                input_size=(size // model.strides[stage], ) * 2)
            state = {}
            for name, tensor in block.state_dict().items():
                for ours, theirs in HOST_NAMES:
                    name = name.replace(ours, theirs)
                state[name] = tensor
            layer.load_state_dict(state, strict=not relative_position)
            self.layers.append(layer)
        self.stages = stages

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """(B, 3, H, W) -> as the outputs of the HPViT"""
        from mmpretrain.models.utils import resize_pos_embed
        model = self.model
        x = model.patch_embed.proj(x)
        grid = tuple(x.shape[2:])
        # (B, C, H, W) -> (B, H * W, C) -> (B, H, W, C)
        x = x.flatten(2).transpose(1, 2)
        x = x + resize_pos_embed(model.pos_embed, model.pos_grid, grid,
                                 'bicubic', num_extra_tokens=0)
        x = x.unflatten(1, grid)
        outs = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            stage = self.stages[i]
            last = i + 1 == len(self.layers)
            if not last and self.stages[i + 1] == stage:
                continue
            if stage in model.out_indices:
                norm = model.norms[str(stage)]
                outs.append(norm(x.mean(dim=(1, 2)))
                            if model.out_type == 'avg_featmap' else
                            norm(x).permute(0, 3, 1, 2).contiguous())
            if not last:
                x = F.avg_pool2d(x.permute(0, 3, 1, 2).contiguous(), 2)
                x = x.permute(0, 2, 3, 1).contiguous()
        return tuple(outs)


def hpvit(window_size: int, attention: str = 'window', **options) -> HPViT:
    """HPViT-B with average pooling, the same weights each time."""
    torch.manual_seed(0)
    return HPViT('base', pooling='avg', window_size=window_size,
                 attention=(attention, attention, 'global', 'global'),
                 **options).eval()


def check_equal(ours: Callable, theirs: Callable, x: Tensor,
                tolerance: float = 1e-5) -> float:
    """The largest relative difference of outputs, which must be small."""
    with torch.no_grad():
        error = max(
            ((one - other).norm() / other.norm()).item()
            for one, other in zip(ours(x), theirs(x)))
    if not error < tolerance:
        raise UserError(f'the variants differ by {error:.2g}, more than '
                        f'{tolerance:g}: their times cannot be compared')
    return error


def take_turns(variants: Dict[str, Callable], rounds: int = 7,
               seed: int = 0) -> Dict[str, List[float]]:
    """Milliseconds of each variant in each round, after one for warm-up.

    Args:
        variants: Name -> what to time.
        rounds: How often each is called.
        seed: Of the order, which is another one in each round.
    """
    for call in variants.values():
        call()
    order = random.Random(seed)
    times = {name: [] for name in variants}
    for _ in range(rounds):
        for name in order.sample(list(variants), len(variants)):
            start = time.process_time_ns()
            variants[name]()
            times[name].append((time.process_time_ns() - start) / 1e6)
    return times


def ratios(times: Dict[str, List[float]], base: str, name: str
           ) -> Tuple[float, float, float]:
    """How many times as fast as ``base``: median, worst and best round."""
    each = [b / a for a, b in zip(times[name], times[base])]
    return (statistics.median(times[base]) / statistics.median(times[name]),
            min(each), max(each))


def train_step(model: nn.Module, x: Tensor) -> None:
    """A forward and a backward pass."""
    model.zero_grad(set_to_none=True)
    sum(out.sum() for out in model(x)).backward()


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Memory that a forward pass keeps for the backward pass.

    Parameters are left out, and what is kept twice is counted once.
    """
    weights = {param.untyped_storage().data_ptr()
               for param in model.parameters()}
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
        return tensor

    alive = []
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        outs = model(x)
    del outs
    return sum(kept.values())


def compare(title: str, variants: Dict[str, Callable], base: str,
            rounds: int) -> List[dict]:
    """Time variants and print a line for each, as ratios to the first."""
    times = take_turns(variants, rounds)
    rows = []
    print(title)
    for name in variants:
        median, worst, best = ratios(times, base, name)
        rows.append(dict(case=title, variant=name, ratio=median, worst=worst,
                         best=best, milliseconds=times[name]))
        print(f'  {name:36} {statistics.median(times[name]):9.1f} ms   '
              f'{median:.2f}x  ({worst:.2f} to {best:.2f})', flush=True)
    return rows


def run(cases: Sequence[str], rounds: int) -> List[dict]:
    """The comparisons that are asked for.

    Args:
        cases: Some of :data:`CASES`.
        rounds: Rounds of each.
    """
    torch.set_num_threads(1)
    rows = []
    for name in cases:
        rows += CASES[name](rounds)
    return rows


def classification(rounds: int) -> List[dict]:
    """A forward pass at 224 pixels, of two images."""
    x = torch.randn(2, 3, 224, 224)
    ours = hpvit(14, out_type='avg_featmap')
    host = HostHPViT(ours).eval()
    dilated = hpvit(14, 'dilated', out_type='avg_featmap')
    check_equal(ours, host, x)
    with torch.no_grad():
        return compare('classification, forward, 224, batch 2', {
            "of mmpretrain's parts": lambda: host(x),
            'ours, windows': lambda: ours(x),
            'ours, dilated': lambda: dilated(x)}, "of mmpretrain's parts",
            rounds)


def dense(rounds: int) -> List[dict]:
    """A forward pass at 512 pixels to four levels, of one image."""
    x = torch.randn(1, 3, 512, 512)
    ours = hpvit(16)
    host = HostHPViT(ours, size=512).eval()
    relative = HostHPViT(ours, True, 512).eval()
    check_equal(ours, host, x)
    check_equal(ours, relative, x)
    with torch.no_grad():
        return compare('four levels, forward, 512, batch 1', {
            "of mmpretrain's parts": lambda: host(x),
            'the same with relative positions': lambda: relative(x),
            'ours, windows': lambda: ours(x)}, "of mmpretrain's parts",
            rounds)


def training(rounds: int) -> List[dict]:
    """A training step at 224 pixels, of one image, and what it keeps."""
    x = torch.randn(1, 3, 224, 224)
    ours = hpvit(14, out_type='avg_featmap')
    host = HostHPViT(ours)
    check_equal(ours, host, x)
    rows = compare('classification, forward and backward, 224, batch 1', {
        "of mmpretrain's parts": lambda: train_step(host, x),
        'ours, windows': lambda: train_step(ours, x)},
        "of mmpretrain's parts", rounds)
    memory = {name: saved_bytes(model, x) / 2**20
              for name, model in (("of mmpretrain's parts", host),
                                  ('ours, windows', ours))}
    first = next(iter(memory.values()))
    print('saved activations, 224, batch 1')
    for name, size in memory.items():
        print(f'  {name:36} {size:9.1f} MiB  {size / first:.2f}x')
    return rows + [dict(case='saved activations', variant=name, MiB=size,
                        ratio=size / first) for name, size in memory.items()]


CASES = dict(classification=classification, dense=dense, training=training)
