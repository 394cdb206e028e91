"""Cost of an experiment: computed from its config, not measured.

The model is built without memory for its parameters, and a step of it is
counted on fake tensors. docs/model_zoo.md explains the numbers.
"""
import math
from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from hpvit_mm.engine.checks.parts import build_skeleton
from hpvit_mm.errors import UserError
from .count import Size, count_step, is_masked, peak_memory

# Images for training and for testing. Of COCO's 118,287 for training 117,266
# have annotations; `filter_empty_gt` drops the others.
IMAGES = {
    'ImageNet': (1_281_167, 50_000),
    'CocoDataset': (117_266, 5_000),
    'ADE20KDataset': (20_210, 2_000),
    'CityscapesDataset': (2_975, 500),
}

# Assumed, not measured: 40 % of an A100's peak, which is 312 TFLOP/s in
# bfloat16 and 19.5 in float32. Large matmuls reach more, all else less.
BF16_SPEED = 125e12
FP32_SPEED = 7.8e12

# fp32: a parameter, its gradient and AdamW's two moments.
BYTES_PER_PARAMETER = 16
BYTES_PER_FROZEN_PARAMETER = 4
# fp32: DDP copies the gradients into buckets.
BYTES_PER_BUCKET = 4


@dataclass(frozen=True)
class Cost:
    """Cost of an experiment.

    Attributes:
        size: Height and width of an image.
        forward: Part of the model -> FLOPs of its forward pass per image.
        backward: FLOPs of the backward pass per image; 0 for a test.
        parameters: Number of parameters of the whole model.
        trained: Number of those that are not frozen.
        memory: Bytes per GPU in training, without losses; 0 for a test and
            a masked pre-training, of which it is not computed.
        images: Images per round.
        rounds: Number of rounds.
        unit: What a round is: an epoch, an iteration, or a test.
        uncounted: Heads that do not run without data, such as those with
            queries: the FLOPs and the memory do not include them.
    """
    size: Size
    forward: Dict[str, float]
    backward: float
    parameters: int
    trained: int
    memory: int
    images: int
    rounds: int
    unit: str
    uncounted: Tuple[str, ...] = ()

    @property
    def trains(self) -> bool:
        return self.unit != 'test'

    @property
    def backbone(self) -> float:
        """FLOPs of the forward pass of the backbone per image."""
        return self.forward['backbone']

    @property
    def heads(self) -> float:
        """FLOPs of the forward pass of neck and heads per image."""
        return sum(self.forward.values()) - self.backbone

    @property
    def flops(self) -> float:
        """FLOPs of the whole experiment."""
        return (self.backbone + self.heads + self.backward
                ) * self.images * self.rounds

    def gpu_hours(self, bf16: bool) -> float:
        """Hours of one GPU at the speed that is assumed."""
        return self.flops / (BF16_SPEED if bf16 else FP32_SPEED) / 3600


def cost_of(cfg: Config) -> Cost:
    """Compute the cost of the experiment of a config.

    Raises:
        UserError: If the config lacks something from which it is computed.
    """
    model = skeleton(cfg)
    size = input_size(cfg)
    train = trains(cfg)
    batch = (cfg.train_dataloader if train else cfg.test_dataloader
             ).batch_size
    images, rounds, unit = schedule(cfg)
    step = count_step(model, size, batch, train)
    unknown = [name for name, flops in step.forward.items() if flops is None]
    if unknown and not any(hasattr(module, 'num_queries')
                           for module in model.modules()):
        raise UserError(f'{cfg.filename}: the cost of its {unknown[0]} is '
                        'not known, because it does not run without data')
    memory = 0
    parameters = sum(one.numel() for one in model.parameters())
    trained = sum(one.numel() for one in model.parameters()
                  if one.requires_grad)
    if train and not is_masked(model):
        memory = state_bytes(cfg, parameters, trained) + peak_memory(
            model, input_size(cfg, largest=True), batch)
    return Cost(
        size=size,
        forward={name: flops / batch for name, flops in step.forward.items()
                 if flops is not None},
        backward=step.backward / batch, parameters=parameters,
        trained=trained,
        memory=memory,
        images=images, rounds=rounds, unit=unit,
        uncounted=tuple(unknown))


def state_bytes(cfg: Config, parameters: int, trained: int) -> int:
    """Bytes per GPU of parameters, gradients, AdamW's state and buckets."""
    state = (BYTES_PER_PARAMETER * trained +
             BYTES_PER_FROZEN_PARAMETER * (parameters - trained))
    gpus = processes(cfg) if trains(cfg) else 1
    if 'FSDP' in (cfg.get('strategy') or {}).get('type', ''):
        return state // gpus
    return state + (BYTES_PER_BUCKET * trained if gpus > 1 else 0)


def skeleton(cfg: Config) -> nn.Module:
    """Build the model of a config on the meta device."""
    if not cfg.get('model'):
        raise UserError(f'{cfg.filename}: the config has no model; give that '
                        'of an experiment')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = build_skeleton(cfg)
    if model is None:
        raise UserError(f'{cfg.filename}: its model cannot be built; '
                        'tools/train.py tells why')
    return model


def input_size(cfg: Config, largest: bool = False,
               remedy: str = 'set crop_size or image_size to it') -> Size:
    """Return height and width of the images that the model gets in training.

    They are found by the names that the configs of data sets here use:
    ``crop_size`` or ``image_size``, the crop of the pipeline (without
    training: of the test pipeline), or ``scales``.

    Args:
        cfg: The config.
        largest: Of several scales return the largest one, as needed for
            memory. Defaults to False: the middle one, for an image of 4:3,
            as most of COCO's are.
        remedy: What to do where the size is not known, for the message.
    """
    if 'scales' in cfg:
        scales = sorted(cfg.scales)
        side = scales[len(scales) // 2][0]
        size = scales[-1] if largest else (side, side * 4 // 3)
    elif 'crop_size' in cfg or 'image_size' in cfg:
        size = tuple(cfg.get('crop_size') or cfg.image_size)
    else:
        name = 'train_pipeline' if trains(cfg) else 'test_pipeline'
        size = _crop(cfg.get(name) or [])
    if size is None:
        raise UserError(f'{cfg.filename}: the size of the images is not '
                        f'known; {remedy}')
    divisor = (cfg.model.get('data_preprocessor') or {}).get(
        'pad_size_divisor', 1)
    return tuple(math.ceil(n / divisor) * divisor for n in size)


def _crop(pipeline: Sequence[dict]) -> Optional[Size]:
    for transform in pipeline:
        for crop, key in (('RandomResizedCrop', 'scale'),
                          ('CenterCrop', 'crop_size')):
            if transform['type'].endswith(crop):
                side = transform[key]
                return (side, side) if isinstance(side, int) else tuple(side)
    return None


def trains(cfg: Config) -> bool:
    return bool(cfg.get('optim_wrapper'))


def schedule(cfg: Config) -> Tuple[int, int, str]:
    """Return images per round, rounds, and what a round is."""
    if not trains(cfg):
        images = _images(cfg, cfg.test_dataloader.dataset, 1)
        bank = (cfg.get('test_cfg') or {}).get('bank')  # k-NN's neighbours
        if bank:
            images += _images(cfg, bank.dataset, 0)
        return images, 1, 'test'
    if cfg.train_cfg.get('max_iters'):
        steps = cfg.optim_wrapper.get('accumulative_counts', 1)
        return batch_of(cfg) // steps, cfg.train_cfg.max_iters, 'iteration'
    times, dataset = 1, cfg.train_dataloader.dataset
    while 'dataset' in dataset:
        times *= dataset.get('times', 1)
        dataset = dataset.dataset
    return (_images(cfg, dataset, 0), times * cfg.train_cfg.max_epochs,
            'epoch')


def batch_of(cfg: Config) -> int:
    """Effective batch size: GPUs x images per GPU x accumulated batches."""
    if not cfg.get('auto_scale_lr'):
        raise UserError(f'{cfg.filename}: add auto_scale_lr.base_batch_size, '
                        'GPUs x images per GPU x accumulated batches')
    return cfg.auto_scale_lr.base_batch_size


def processes(cfg: Config) -> int:
    """Number of GPUs of a recipe."""
    return batch_of(cfg) // (
        cfg.train_dataloader.batch_size *
        cfg.optim_wrapper.get('accumulative_counts', 1))


def _images(cfg: Config, dataset: dict, split: int) -> int:
    if dataset.type not in IMAGES:
        raise UserError(
            f'{cfg.filename}: the number of images of {dataset.type} is not '
            'known; add it to IMAGES in hpvit_mm/analysis/cost.py')
    return IMAGES[dataset.type][split]
