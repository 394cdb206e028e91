"""Count the FLOPs and the memory of a training step, without computing it.

The step runs on fake tensors, which have shapes and no values. This works for
any backbone, and takes seconds for any size and batch.
"""
import copy
import weakref
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
from torch import Tensor, nn
# Both are described in torch's documentation, but have no public path yet.
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hpvit_mm.engine.checks.build import quiet
from hpvit_mm.errors import UserError
from hpvit_mm.models import BaseBackbone
from hpvit_mm.models.layers.norm import BATCH_NORMS

Size = Tuple[int, int]

# As the hosts' models name them.
HEADS = ('head', 'decode_head', 'auxiliary_head', 'rpn_head', 'bbox_head',
         'roi_head', 'panoptic_head')
# Autocast computes them in fp32 on GPUs, but not on CPUs.
FP32_NORMS = (nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Count:
    """FLOPs of a step with a batch of images.

    Attributes:
        forward: Part of the model -> FLOPs of its forward pass; None where a
            head does not run without data.
        backward: FLOPs of the backward pass, activation checkpointing
            included; 0 if nothing is trained.
        modules: Name of a module of the backbone -> FLOPs of both passes.
        shapes: Name of a block of the backbone -> shape of its input.
    """
    forward: Dict[str, Optional[int]]
    backward: int
    modules: Dict[str, int]
    shapes: Dict[str, Tuple[int, ...]]


def count_step(model: nn.Module, size: Size, batch: int = 1,
               train: bool = True) -> Count:
    """Count the FLOPs of a step of a model.

    The backward pass starts at the outputs of the heads: losses and the
    assignment of targets are not counted. The heads of regions get as many
    regions as the samplers ask for in training.

    Args:
        model: A classifier, detector or segmentor; its parameters may be on
            the meta device.
        size: Height and width of the images in pixels.
        batch: Number of images.
        train: Whether to count a backward pass.

    Raises:
        UserError: If the model has no backbone, or the backbone does not run
            on images of this size.
    """
    if is_masked(model):
        return count_masked(model, size, batch)
    shapes = {}
    counter = FlopCounterMode(display=False, custom_mapping=SDPA_FLOPS)
    with prepared(model, train) as model:
        note_shapes(model.backbone, shapes)
        with counter:
            forward, outs = run_forward(model, size, batch,
                                        counter.get_total_flops)
            before = counter.get_total_flops()
            run_backward(outs)
    prefix = f'{type(model.backbone).__name__}.'
    return Count(
        forward, counter.get_total_flops() - before,
        {name.removeprefix(prefix): sum(flops.values())
         for name, flops in counter.get_flop_counts().items()
         if name.startswith(prefix)}, shapes)


def is_masked(model: nn.Module) -> bool:
    """Return whether a model does masked pre-training."""
    return hasattr(model, 'random_mask')


def count_masked(model: nn.Module, size: Size, batch: int) -> Count:
    """Count a step of a masked pre-training, whose loss is counted too.

    On the meta device, because the number of visible units is read from the
    masks, which are drawn for it: the same ones each time.
    """
    counter = FlopCounterMode(display=False)
    image = torch.empty(batch, in_channels(model.backbone), *size,
                        device='meta')
    with quiet(), counter, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loss = sum(model.to('meta').train().loss(image, []).values())
        forward = counter.get_total_flops()
        modules = counter.get_flop_counts()
        backbone = sum(modules[type(model.backbone).__name__].values())
        loss.backward()
    return Count({'backbone': backbone, 'neck': forward - backbone},
                 counter.get_total_flops() - forward, {}, {})


def peak_memory(model: nn.Module, size: Size, batch: int = 1) -> int:
    """Peak of the bytes allocated during a training step in bfloat16.

    Parameters and their gradients are left out, and losses are not computed.
    The arguments are those of :func:`count_step`. (One pass for both would
    not do: FlopCounterMode keeps tensors alive.)
    """
    memory = LiveMemory()
    with prepared(model, True, bf16=True) as model, memory:
        _, outs = run_forward(model, size, batch, lambda: 0)
        run_backward(outs)
    return memory.peak


@contextmanager
def prepared(model: nn.Module, train: bool,
             bf16: bool = False) -> Iterator[nn.Module]:
    """Yield a copy of a model on fake tensors, which runs as on a GPU."""
    if getattr(model, 'backbone', None) is None:
        raise UserError(f'{type(model).__name__} has no backbone; give the '
                        'config of a classifier, detector or segmentor')
    model = copy.deepcopy(model)
    with FakeTensorMode(allow_non_fake_inputs=True), quiet(), \
            torch.autocast('cpu', torch.bfloat16, enabled=bf16), \
            torch.set_grad_enabled(train):
        model.to_empty(device='cpu')
        prepare(model, train, bf16)
        yield model


def prepare(model: nn.Module, train: bool, bf16: bool) -> None:
    """Make a model run as on a GPU, and drop gradients as they come."""
    model.train(train)
    for module in model.modules():
        if isinstance(module, BATCH_NORMS):
            # Training does not accept the one value per channel of a pooled
            # map, or SyncBN on a CPU.
            module.eval()
        if bf16 and isinstance(module, FP32_NORMS):
            module.register_forward_pre_hook(
                lambda _, inputs: (inputs[0].float(), *inputs[1:]))
    for one in model.parameters():
        if one.requires_grad:
            one.register_post_accumulate_grad_hook(
                lambda parameter: setattr(parameter, 'grad', None))


def run_forward(model: nn.Module, size: Size, batch: int,
                total: Callable[[], int]
                ) -> Tuple[Dict[str, Optional[int]], List[Tensor]]:
    """FLOPs of the parts of a model, and the outputs of its heads.

    Args:
        model: The model.
        size: Height and width of the images.
        batch: Number of images.
        total: Returns the FLOPs counted until now.
    """
    backbone, flops = model.backbone, {}

    def run(name: str, call: Callable, *inputs: Any) -> Any:
        before = total()
        outs = call(*inputs)
        flops[name] = total() - before
        return outs

    image = torch.empty(batch, in_channels(backbone), *size)
    try:
        features = run('backbone', backbone, image)
    except Exception as error:
        raise UserError(
            f'{type(backbone).__name__} cannot run on images of {size[0]} x '
            f'{size[1]} pixels: {error}; give another size') from error
    outs = []
    try:
        if getattr(model, 'neck', None) is not None:
            features = run('neck', model.neck, features)
        for name in HEADS:
            head = getattr(model, name, None)
            if head is not None:
                call = roi_heads if name == 'roi_head' else run_heads
                outs += tensors(run(name, call, head, features, batch))
    except Exception:  # some heads, such as DETR's, need data
        outs = []
    for name in ('neck', *HEADS):
        if getattr(model, name, None) is not None:
            flops.setdefault(name, None)
    return flops, outs + list(tensors(features))


def run_backward(outs: List[Tensor]) -> None:
    """The backward pass from ``outs``, a list that is emptied."""
    losses = [one.float().sum() for one in outs if one.requires_grad]
    outs.clear()
    if losses:
        sum(losses).backward()


def in_channels(backbone: nn.Module) -> int:
    """Channels of the images that a backbone takes."""
    if isinstance(backbone, BaseBackbone):
        return backbone.in_channels
    return next((module.in_channels for module in backbone.modules()
                 if isinstance(module, nn.Conv2d)), 3)


def run_heads(heads: nn.Module, features: Any, _: int) -> List[Any]:
    """The outputs of a head, or of several, for the features."""
    return [head(features) for head in as_list(heads)]


def roi_heads(roi_head: nn.Module, _: Any, batch: int) -> List[Any]:
    """The outputs of the heads of regions, for as many as are sampled.

    Boxes get all regions of the sampler, masks its share of positive ones.
    """
    train_cfg = roi_head.train_cfg
    if not isinstance(train_cfg, (list, tuple)):
        train_cfg = [train_cfg]
    outs = []
    for kind in ('bbox', 'mask'):
        heads = as_list(getattr(roi_head, f'{kind}_head', None))
        for head, cfg in zip(heads, train_cfg):
            regions = cfg.sampler.num
            if kind == 'mask':
                regions = int(regions * cfg.sampler.pos_fraction)
            side = head.roi_feat_size
            height, width = (side, side) if isinstance(side, int) else side
            outs.append(head(torch.empty(
                batch * regions, head.in_channels, height, width,
                requires_grad=torch.is_grad_enabled())))
    return outs


def as_list(heads: Optional[nn.Module]) -> List[nn.Module]:
    """No head, a head, or several, as a list."""
    if heads is None:
        return []
    return list(heads) if isinstance(heads, nn.ModuleList) else [heads]


def tensors(data: Any) -> Iterator[Tensor]:
    """The floating-point tensors in nested tuples, lists and dicts."""
    if isinstance(data, dict):
        data = list(data.values())
    if isinstance(data, (list, tuple)):
        for one in data:
            yield from tensors(one)
    elif isinstance(data, Tensor) and data.is_floating_point():
        yield data


def note_shapes(backbone: nn.Module,
                shapes: Dict[str, Tuple[int, ...]]) -> None:
    """Fill ``shapes`` when the blocks of a backbone run."""
    # other classes, such as the hosts' Swin, mean other things by stages
    for stage in backbone.stages if isinstance(backbone, BaseBackbone) else ():
        for name in stage.blocks:
            backbone.get_submodule(name).register_forward_pre_hook(
                lambda _, inputs, name=name: shapes.update(
                    {name: tuple(inputs[0].shape)}))


class LiveMemory(TorchDispatchMode):
    """Bytes of the tensors that were made inside of the context and live.

    Attributes:
        peak: The most that lived at one time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self.storages: Dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outs = func(*args, **(kwargs or {}))
        for one in outs if isinstance(outs, (list, tuple)) else [outs]:
            if isinstance(one, Tensor):
                self._add(one.untyped_storage())
        return outs

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key not in self.storages:
            self.storages[key] = weakref.ref(
                storage, lambda _: self._remove(key, size))
            self.live += size
            self.peak = max(self.peak, self.live)

    def _remove(self, key: int, size: int) -> None:
        del self.storages[key]
        self.live -= size


def _attention(query, key, value, *_, **__) -> int:
    """FLOPs of two matmuls: queries by keys, and weights by values."""
    batch, heads, queries, dims = query
    return 2 * batch * heads * queries * key[2] * (dims + value[3])


def _attention_backward(_, query, key, value, *__, **___) -> int:
    """The two gradients of each of the two matmuls."""
    return 2 * _attention(query, key, value)


# torch counts the kernels of GPUs, but not those of CPUs.
SDPA_FLOPS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
        _attention_backward,
}
