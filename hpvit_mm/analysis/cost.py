"""What an experiment costs: computed from its config, not measured.

The model is built without memory for its weights, and its operations are
counted. docs/model_zoo.md has the formulas in one place.
"""
import math
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hpvit_mm.engine.checks.model import build_skeleton, quiet
from hpvit_mm.errors import UserError
from hpvit_mm.models import HPViT
from .memory import activation_bytes, copied_weights
from .stages import Size, placed_stages

# Images for training and for testing. Of COCO's 118,287 for training 117,266
# have annotations; `filter_empty_gt` leaves the others out.
IMAGES = {
    'ImageNet': (1_281_167, 50_000),
    'CocoDataset': (117_266, 5_000),
    'ADE20KDataset': (20_210, 2_000),
    'CityscapesDataset': (2_975, 500),
}

# What the hosts' models call them.
HEADS = ('head', 'decode_head', 'auxiliary_head', 'rpn_head', 'bbox_head',
         'roi_head')

# Assumed, not measured: 40 % of the 312 TFLOP/s that an A100 reaches at most
# in bf16. Large matrix products reach more, all else less.
FLOPS_PER_SECOND = 125e12

# A forward pass and twice as much for the backward pass: the gradients of the
# inputs and those of the weights.
TRAINING_PASSES = 3

# fp32: a parameter, its gradient and AdamW's two moments.
BYTES_PER_PARAMETER = 16
BYTES_PER_FROZEN_PARAMETER = 4
# autocast's bf16 copy of a weight, kept for the backward pass.
BYTES_PER_COPY = 2


@dataclass(frozen=True)
class Stage:
    """The embedding, or a stage with the pooling in front of it.

    Attributes:
        name: What the tables call it.
        nominal: MACs (multiply-adds) of an image by formula, of its tokens
            alone.
        executed: MACs that the code executes, padding included.
        recomputed: Those that checkpointing executes once more.
        frozen: Whether it is not trained, and so has no backward pass.
    """
    name: str
    nominal: int
    executed: int
    recomputed: int
    frozen: bool


@dataclass(frozen=True)
class Cost:
    """What an experiment costs.

    Attributes:
        size: Height and width of an image.
        stages: The embedding and the stages of the backbone.
        heads: MACs of the neck and the heads for an image of the training.
        parameters: Those of the whole model.
        trained: Those of them that are not frozen.
        backbone: Those of the backbone.
        copied: Weights of which autocast keeps a copy.
        activations: Bytes per image that the backbone holds at most.
        batch_size: Images per GPU and step.
        images: Images per round.
        rounds: Number of rounds.
        unit: What a round is: an epoch, an iteration, or a test.
        shares: Processes that share out weights, gradients and AdamW's
            averages (FSDP); 1 where each has all.
    """
    size: Size
    stages: Tuple[Stage, ...]
    heads: int
    parameters: int
    trained: int
    backbone: int
    copied: int
    activations: int
    batch_size: int
    images: int
    rounds: int
    unit: str
    shares: int = 1

    @property
    def trains(self) -> bool:
        return self.unit != 'test'

    def macs(self, what: str = 'executed',
             frozen: Optional[bool] = None) -> int:
        """MACs of the backbone, or of those parts that are frozen or not.

        Args:
            what: 'nominal', 'executed' or 'recomputed'.
            frozen: Which parts. Defaults to None: all.
        """
        return sum(
            getattr(stage, what) for stage in self.stages
            if frozen is None or stage.frozen == frozen)

    @property
    def flops_per_image(self) -> int:
        if not self.trains:
            return 2 * (self.macs() + self.heads)
        trained = self.macs(frozen=False) + self.heads
        return 2 * (
            TRAINING_PASSES * trained + self.macs(frozen=True) +
            self.macs('recomputed'))

    @property
    def flops(self) -> int:
        return self.flops_per_image * self.images * self.rounds

    @property
    def gpu_hours(self) -> float:
        return self.flops / FLOPS_PER_SECOND / 3600

    @property
    def memory(self) -> int:
        """Bytes per GPU in training, without activations of the heads."""
        frozen = self.parameters - self.trained
        fixed = (BYTES_PER_PARAMETER * self.trained +
                 BYTES_PER_FROZEN_PARAMETER * frozen)
        # the copies are no parameters: FSDP does not share them out
        return (fixed // self.shares + BYTES_PER_COPY * self.copied +
                self.batch_size * self.activations)


def cost_of(cfg: Config) -> Cost:
    """The cost of the experiment of a config.

    Raises:
        UserError: If the config lacks something from which it is computed.
    """
    model = skeleton(cfg)
    backbone = getattr(model, 'backbone', None)
    if not isinstance(backbone, HPViT):
        raise UserError(f'{cfg.filename}: only the cost of models with an '
                        'HPViT as backbone can be computed')
    size = input_size(cfg)
    macs, features = backbone_macs(backbone, size)
    images, rounds, unit = schedule(cfg)
    return Cost(
        size=size,
        stages=macs,
        heads=sum(head_macs(model, features).values()),
        parameters=count(model.parameters()),
        trained=count(p for p in model.parameters() if p.requires_grad),
        backbone=count(backbone.parameters()),
        copied=copied_weights(model),
        activations=activation_bytes(backbone, input_size(cfg, largest=True)),
        batch_size=(cfg.get('train_dataloader')
                    or cfg.test_dataloader).batch_size,
        images=images,
        rounds=rounds,
        unit=unit,
        shares=processes(cfg) if 'FSDP' in (
            cfg.get('strategy') or {}).get('type', '') else 1)


# ------------------------------------------------------------- the config


def skeleton(cfg: Config) -> nn.Module:
    """The model of a config, on the meta device."""
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
    """Height and width of the images, as they reach the model in training.

    They are known by the names that the configs of data sets here use:
    ``crop_size`` or ``image_size``, the crop of the pipeline (without
    training: that of the test), or ``scales``. Of several scales the middle
    one is taken, of an image of 4:3, as most of COCO are; memory has to
    suffice for the ``largest``.
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
    """Images per round, rounds, and what a round is."""
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
    """Images behind an update: GPUs x images per GPU x accumulated batches."""
    if not cfg.get('auto_scale_lr'):
        raise UserError(f'{cfg.filename}: add auto_scale_lr.base_batch_size, '
                        'GPUs x images per GPU x accumulated batches')
    return cfg.auto_scale_lr.base_batch_size


def processes(cfg: Config) -> int:
    """For how many GPUs a recipe was made."""
    return cfg.auto_scale_lr.base_batch_size // (
        cfg.train_dataloader.batch_size *
        cfg.optim_wrapper.get('accumulative_counts', 1))


def _images(cfg: Config, dataset: dict, split: int) -> int:
    if dataset.type not in IMAGES:
        raise UserError(
            f'{cfg.filename}: the number of images of {dataset.type} is not '
            'known; add it to IMAGES in hpvit_mm/analysis/cost.py')
    return IMAGES[dataset.type][split]


# ------------------------------------------------------------ the backbone


def count(parameters) -> int:
    return sum(p.numel() for p in parameters)


def weights(module: nn.Module) -> int:
    """Numbers in the matrices of a module, each of which is a MAC a token."""
    return count(p for p in module.parameters() if p.dim() > 1)


def nominal_macs(backbone: HPViT, size: Size) -> List[int]:
    """MACs by formula, of the embedding and of each stage.

    A block has 12 C^2 per token in its matrices and, with W tokens in a
    group, 2 W C in its attention. Where groups are padded, W is their
    average without padding.
    """
    stages = placed_stages(backbone, size)
    macs = [stages[0].tokens * weights(backbone.patch_embed), 0]
    macs += [stage.tokens * weights(pool)
             for stage, pool in zip(stages[1:], backbone.pools)]
    for s, stage in enumerate(stages):
        for one in stage.blocks:
            groups = one.layout.num_groups
            group = stage.tokens / groups + backbone.num_prefix
            macs[s + 1] += groups * group * (
                weights(one.block) + 2 * group * backbone.embed_dims)
    return [round(n) for n in macs]


def backbone_macs(
        backbone: HPViT,
        size: Size) -> Tuple[Tuple[Stage, ...], Tuple[torch.Tensor, ...]]:
    """The parts of a backbone on the meta device, and its output."""
    image = torch.empty(
        1, backbone.patch_embed.proj.in_channels, *size, device='meta')
    with counter() as counted, torch.no_grad():
        features = backbone.eval()(image)
    executed = macs_by_module(counted)
    nominal = nominal_macs(backbone, size)
    parts = [
        Stage('embedding', nominal[0], executed['patch_embed'], 0,
              backbone.frozen_stages >= 0)
    ]
    for s, stage in enumerate(placed_stages(backbone, size)):
        frozen = s < backbone.frozen_stages
        macs = executed.get(f'pools.{s - 1}', 0)
        recomputed = 0
        for one in stage.blocks:
            macs += executed[one.name]
            if one.block.with_cp and not frozen:
                recomputed += executed[one.name]
        parts.append(Stage(f'1/{stage.stride}', nominal[s + 1], macs,
                           recomputed, frozen))
    return tuple(parts), features


# --------------------------------------------------------------- the heads


def head_macs(model: nn.Module,
              features: Sequence[torch.Tensor]) -> Dict[str, int]:
    """MACs of the neck and of each head for one image, as in training.

    The heads of the regions get as many as the samplers ask for, and the mask
    heads the share of them that may be positive.

    Args:
        model: The model on the meta device.
        features: The output of its backbone.

    Returns:
        What the model calls them -> their MACs.
    """
    model.eval()  # batch norms do not train on the one pixel of a pooled map
    macs = {}
    with quiet(), torch.no_grad():
        if getattr(model, 'neck', None) is not None:
            with counter() as counted:
                features = model.neck(features)
            macs['neck'] = counted.get_total_flops() // 2
        for name in HEADS:
            heads = modules(getattr(model, name, None))
            if heads:
                with counter() as counted:
                    for head in heads:
                        if name == 'roi_head':
                            roi_heads(head)
                        else:
                            head(features)
                macs[name] = counted.get_total_flops() // 2
    return macs


def roi_heads(roi_head: nn.Module) -> None:
    """Run the heads of regions on made-up regions."""
    train_cfg = roi_head.train_cfg
    if not isinstance(train_cfg, (list, tuple)):
        train_cfg = [train_cfg]
    for kind in ('bbox', 'mask'):
        heads = modules(getattr(roi_head, f'{kind}_head', None))
        for head, one in zip(heads, train_cfg):
            regions = one.sampler.num
            if kind == 'mask':
                regions = int(regions * one.sampler.pos_fraction)
            head(torch.empty(
                regions, head.in_channels,
                *nn.modules.utils._pair(head.roi_feat_size), device='meta'))


def modules(head) -> Sequence[nn.Module]:
    """None, a head or a list of heads as a list."""
    if head is None:
        return []
    return list(head) if isinstance(head, nn.ModuleList) else [head]


def counter() -> FlopCounterMode:
    """Counts the products of matrices, convolutions and attention.

    It counts 2 FLOPs a multiply-add. On the meta device torch splits
    attention into two products of matrices, which are counted in full; the
    CPU's own kernel for attention would not be.
    """
    return FlopCounterMode(display=False)


def macs_by_module(counted: FlopCounterMode) -> Dict[str, int]:
    """Name of a module of the model that was run -> its MACs."""
    return {
        name.partition('.')[2]: sum(ops.values()) // 2
        for name, ops in counted.get_flop_counts().items()
    }
