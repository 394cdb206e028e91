"""The networks that are timed, ours and those of the hosts' parts."""
import copy
from contextlib import suppress
from typing import (Callable, Dict, List, Optional, Sequence, Tuple, Union)

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hpvit_mm.models import HPViT
from .. import cost
from .timing import Options, Variant, check_equal

# How much a compiled network may differ: its sums are taken in other orders.
COMPILED = 1e-5
BFLOAT16 = 3e-2
# Parts of names, of ours and of mmpretrain's.
HOST_NAMES = (('norm1', 'ln1'), ('norm2', 'ln2'),
              ('mlp.fc1', 'ffn.layers.0.0'), ('mlp.fc2', 'ffn.layers.1'))


def host_name(name: str) -> str:
    """What mmpretrain's blocks call a parameter of ours."""
    for ours, theirs in HOST_NAMES:
        name = name.replace(ours, theirs)
    return name


class HostHPViT(nn.Module):
    """An HPViT of mmpretrain's parts, with the weights of one of ours.

    The blocks are those of its ViTSAM, which are ViTDet's: windows are cut
    out and put back in each block, attention writes its matrix out. Average
    pooling and windows in stages 0 and 1, global attention behind.

    Args:
        model: Ours, with average pooling and attention in windows.
        relative_position: Whether to add decomposed relative positions, as
            ViTDet does; they are zero, so that results stay equal.
        size: Side of the images in pixels, for these positions.
        window_size: Tokens along a side of a window; a grid that it does not
            divide is padded. Defaults to None: that of ``model``.
    """

    def __init__(self, model: HPViT, relative_position: bool = False,
                 size: int = 224, window_size: Optional[int] = None) -> None:
        from mmpretrain.models.backbones.vit_sam import \
            TransformerEncoderLayer
        super().__init__()
        self.model = model
        self.layers = nn.ModuleList()
        stages = [s for s, depth in enumerate(model.stage_depths)
                  for _ in range(depth)]
        for stage, block in zip(stages, model.blocks):
            window = (window_size or model.window_size) if stage < 2 else 0
            layer = TransformerEncoderLayer(
                model.embed_dims, block.attn.num_heads,
                block.mlp.fc1.out_features, window_size=window,
                norm_cfg=dict(type='LN', eps=1e-6),
                use_rel_pos=relative_position,
                input_size=(size // model.strides[stage], ) * 2)
            layer.load_state_dict({
                host_name(name): tensor
                for name, tensor in block.state_dict().items()
            }, strict=not relative_position)
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


def classifiers() -> Dict[str, nn.Module]:
    """Other networks of this size, as the libraries build them.

    mmpretrain's, and timm's where it is installed, for images of 224 pixels,
    without a last linear layer.
    """
    from mmpretrain.models import HiViT, SwinTransformer, VisionTransformer
    models = {
        "mmpretrain's ViT-B/16": VisionTransformer(
            'base', out_type='avg_featmap', with_cls_token=False),
        "mmpretrain's Swin-B": SwinTransformer('base', drop_path_rate=0.),
        "mmpretrain's HiViT-B": HiViT('base'),
    }
    with suppress(ImportError):
        import timm
        for name, label in (('vit_base_patch16_224', 'ViT-B/16'),
                            ('swin_base_patch4_window7_224', 'Swin-B'),
                            ('hiera_base_224', 'Hiera-B'),
                            ('mvitv2_base', 'MViTv2-B'),
                            ('convnext_base', 'ConvNeXt-B')):
            models[f"timm's {label}"] = timm.create_model(name, num_classes=0)
    return _evaluated(models)


def pyramids(size: int) -> Dict[str, nn.Module]:
    """Backbones for dense tasks of this size, as the libraries build them.

    Args:
        size: Side of the images in pixels.
    """
    from mmdet.models.backbones import SwinTransformer as DetSwin
    from mmpretrain.models import ViTSAM
    from mmseg.models.backbones import SwinTransformer as SegSwin
    from mmseg.models.backbones import VisionTransformer
    swin = dict(embed_dims=128, depths=(2, 2, 18, 2),
                num_heads=(4, 8, 16, 32), drop_path_rate=0.)
    models = {
        "mmseg's ViT-B/16": VisionTransformer(
            size, with_cls_token=False, out_indices=(3, 5, 7, 11)),
        "mmdet's Swin-B": DetSwin(**swin),
        "mmseg's Swin-B": SegSwin(**swin),
        "mmpretrain's ViTDet-B (SAM)": ViTSAM('base', size, out_channels=0),
    }
    return _evaluated(models)


def _evaluated(models: Dict[str, nn.Module]) -> Dict[str, nn.Module]:
    for model in models.values():
        model.eval()  # in mmpretrain it returns nothing
    return models


def nominal_macs(model: HPViT, x: Tensor) -> int:
    """MACs by formula for all images of a batch."""
    return len(x) * sum(cost.nominal_macs(model, tuple(x.shape[2:])))


def executed_macs(model: nn.Module, x: Tensor, train: bool = False) -> int:
    """MACs that a network executes on a batch, counted without computing.

    Args:
        model: Any network whose outputs are tensors.
        x: Images (B, 3, H, W).
        train: Whether to count the backward pass, too.
    """
    model = copy.deepcopy(model).to('meta')
    x = torch.empty_like(x, device='meta')
    with torch.no_grad():
        model(x)  # computes what is computed once
    with cost.counter() as counted:
        compute(model, x, train)
    return counted.get_total_flops() // 2


def compute(model: Callable, x: Tensor, train: bool = False) -> None:
    """A forward pass, and a backward pass if that is wanted.

    On a GPU in bfloat16; on a CPU that is slower than fp32.
    """
    with torch.set_grad_enabled(train), torch.autocast(
            'cuda', torch.bfloat16, enabled=x.is_cuda):
        loss = total(model(x))
    if train:
        loss.backward()


def total(outs: Union[Tensor, Sequence]) -> Tensor:
    """A number to which all that a network returns contributes.

    Each channel with a weight of its own, because the sum of the channels of
    a LayerNorm is always the same, and has no gradient.
    """
    if torch.is_tensor(outs):
        weights = torch.linspace(-1, 1, outs.shape[1], device=outs.device)
        return (outs.flatten(2).sum(2) if outs.dim() > 2 else outs).float(
        ).matmul(weights).sum()
    return sum(map(total, outs))


def variants(name: str, model: nn.Module, x: Tensor, options: Options,
             nominal: Optional[int] = None,
             train: bool = False) -> List[Variant]:
    """A network to be timed, and the same compiled, if that is wanted.

    Args:
        name: What the table calls it.
        model: The network.
        x: Images (B, 3, H, W).
        options: How to measure.
        nominal: MACs of a forward pass by formula. Defaults to None: those
            that are executed.
        train: Whether to time the backward pass, too.
    """
    executed = executed_macs(model, x, train)
    nominal = nominal * (3 if train else 1) if nominal else executed
    model.to(options.device)
    x = x.to(options.device)

    def variant(name: str, network: Callable) -> Variant:
        def call() -> None:
            model.zero_grad(set_to_none=True)
            compute(network, x, train)
        return Variant(name, call, len(x), (nominal, executed), model,
                       options.compile or isinstance(model, HPViT))

    found = [variant(name, model)]
    if options.compile:
        compiled = torch.compile(model)
        with torch.autocast('cuda', torch.bfloat16, enabled=x.is_cuda):
            check_equal(compiled, model, x,
                        BFLOAT16 if x.is_cuda else COMPILED)
        found.append(variant(f'{name}, compiled', compiled))
    return found


def check_flash(models: Sequence[nn.Module], x: Tensor, options: Options,
                train: bool = False) -> None:
    """On a GPU attention must need none but the fast kernels."""
    if options.device == 'cpu':
        return
    for model in models:
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION,
                          SDPBackend.CUDNN_ATTENTION]):
            compute(model.to(options.device), x.to(options.device), train)
    print('attention runs in flash kernels')
