"""The suites: networks, ours and the hosts'."""
from contextlib import suppress
from functools import partial
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from timing import Options, Variant, check_equal, compare
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from hpvit_mm.analysis.count import count_step, tensors
from hpvit_mm.models import HPViT

# Images of a batch.
FORWARD = dict(cpu=2, cuda=256)
TRAIN = dict(cpu=1, cuda=128)
DENSE = dict(cpu={512: 1}, cuda={512: 32, 1024: 8})
DINOV3 = dict(cpu={224: 2, 512: 1}, cuda={224: 256, 512: 32})
# Parts of parameter names, of ours and of mmpretrain's blocks.
HOST_NAMES = (('norm1', 'ln1'), ('norm2', 'ln2'),
              ('mlp.fc1', 'ffn.layers.0.0'), ('mlp.fc2', 'ffn.layers.1'))
# Relative differences of compiled networks, whose sums have another order.
COMPILED, BFLOAT16 = 1e-5, 3e-2
PLAIN = "mmpretrain's ViT-B/16"


def run_cls(options: Options) -> List[dict]:
    """A forward pass at 224 pixels, to one vector per image."""
    x = torch.randn(FORWARD[options.device], 3, 224, 224)
    windows, dilated = (hpvit(14, kind, out_type='avg_featmap')
                        for kind in ('window', 'dilated'))
    host = HostHPViT(windows).eval()
    relative = HostHPViT(windows, relative_position=True).eval()
    for one in (host, relative):
        check_outputs(windows, one, x[:2])
    models = {"HPViT-B of mmpretrain's parts": host,
              'the same, relative positions': relative,
              'ours, windows': windows, 'ours, dilated': dilated,
              **classifiers()}
    check_flash((windows, dilated), x[:2], options)
    return compare(f'classification, forward, 224, batch {len(x)}',
                   variants(models, x, options), options)


def run_dense(options: Options) -> List[dict]:
    """A forward pass to four feature maps.

    mmpretrain's parts are timed with ViTDet's windows of 14 tokens, which do
    not divide the grid and are padded; results are compared with windows of
    16, as ours.
    """
    rows = []
    for size, batch in DENSE[options.device].items():
        x = torch.randn(batch, 3, size, size)
        windows = hpvit(16, 'window')
        # at a quarter of the size, where the same code takes less time
        check_outputs(windows, HostHPViT(windows, size=size).eval(),
                      x[:1, :, ::4, ::4])
        host, relative = (HostHPViT(windows, has, size, 14).eval()
                          for has in (False, True))
        models = {"HPViT-B of mmpretrain's parts": host,
                  'the same, relative positions': relative,
                  'ours, windows': windows,
                  'ours, dilated': hpvit(16, 'dilated'), **pyramids(size)}
        check_flash((windows, models['ours, dilated']), x[:1], options)
        rows += compare(f'four levels, forward, {size}, batch {batch}',
                        variants(models, x, options), options)
    return rows


def run_train(options: Options) -> List[dict]:
    """A forward and a backward pass at 224 pixels."""
    x = torch.randn(TRAIN[options.device], 3, 224, 224)
    ours = hpvit(14, 'window', out_type='avg_featmap')
    host = HostHPViT(ours)
    check_outputs(ours, host, x[:1])
    check_gradients(ours, host, x[:1])
    models = {"HPViT-B of mmpretrain's parts": host, 'ours, windows': ours,
              PLAIN: classifiers()[PLAIN]}
    check_flash([ours], x[:2], options, train=True)
    return compare(
        f'classification, forward and backward, 224, batch {len(x)}',
        variants(models, x, options, train=True), options)


def run_dinov3(options: Options) -> List[dict]:
    """A forward pass of the plain DINOv3-B, timm's and ours, to a map."""
    rows = []
    for size, batch in DINOV3[options.device].items():
        x = torch.randn(batch, 3, size, size)
        theirs, ours = dinov3s()
        check_outputs(ours, theirs, x[:1])
        rows += compare(
            f'DINOv3-B, forward, {size}, batch {batch}',
            variants({"timm's": theirs, 'ours': ours}, x, options), options)
    return rows


def dinov3s() -> Tuple[nn.Module, HPViT]:
    """timm's DINOv3-B and ours, with the same weights."""
    import timm

    class Patches(nn.Module):
        """timm's network, without its prefix tokens."""

        def __init__(self) -> None:
            super().__init__()
            self.net = timm.create_model('vit_base_patch16_dinov3',
                                         num_classes=0)

        def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
            tokens = self.net.forward_features(x)[:, 5:]  # cls and registers
            # (B, h * w, C) -> (B, C, h * w) -> (B, C, h, w)
            return tokens.transpose(1, 2).unflatten(
                2, (x.shape[2] // 16, x.shape[3] // 16)),

    torch.manual_seed(0)
    theirs = Patches().eval()
    for name, parameter in theirs.named_parameters():
        if 'gamma' in name:  # or the blocks would change almost nothing
            nn.init.constant_(parameter, 0.1)
    ours = HPViT('dinov3-base', patch_stride=16, stage_depths=(12, )).eval()
    state, _ = ours.fit_checkpoint(theirs.net.state_dict(), "timm's")
    ours.load_state_dict(state)
    return theirs, ours


def hpvit(window_size: int, attention: str, **options: Any) -> HPViT:
    """HPViT-B with average pooling, with the same weights each time."""
    torch.manual_seed(0)
    return HPViT('base', pooling='avg', window_size=window_size,
                 attention=(attention, attention, 'global', 'global'),
                 **options).eval()


class HostHPViT(nn.Module):
    """An HPViT of mmpretrain's parts, with the weights of one of ours.

    The blocks are those of its ViTSAM, which are ViTDet's: windows are cut
    out and put back in each block, and attention computes its matrix.

    Args:
        model: Ours, with average pooling, windows in stages 0 and 1, and
            global attention in the others.
        relative_position: Whether to add decomposed relative positions, as
            ViTDet does; they are zero, so that results stay equal.
        size: Side of the images in pixels, for these positions.
        window_size: Tokens along a side of a window. Defaults to None: that
            of ``model``.
    """

    def __init__(self, model: HPViT, relative_position: bool = False,
                 size: int = 224, window_size: Optional[int] = None) -> None:
        from mmpretrain.models.backbones.vit_sam import \
            TransformerEncoderLayer
        super().__init__()
        self.model = model
        self.layers = nn.ModuleList()
        self.stages = [s for s, depth in enumerate(model.stage_depths)
                       for _ in range(depth)]
        for stage, block in zip(self.stages, model.blocks):
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

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """(B, 3, H, W) -> the outputs of the HPViT."""
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


def host_name(name: str) -> str:
    """Name of a parameter of our blocks in mmpretrain's."""
    for ours, theirs in HOST_NAMES:
        name = name.replace(ours, theirs)
    return name


def classifiers() -> Dict[str, nn.Module]:
    """Other networks of this size without a last linear layer, for 224."""
    from mmpretrain.models import HiViT, SwinTransformer, VisionTransformer
    models = {
        PLAIN: VisionTransformer('base', out_type='avg_featmap',
                                 with_cls_token=False),
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
    return evaluating(models)


def pyramids(size: int) -> Dict[str, nn.Module]:
    """Backbones for dense tasks of this size, for images of ``size``."""
    from mmdet.models.backbones import SwinTransformer as DetSwin
    from mmpretrain.models import ViTSAM
    from mmseg.models.backbones import VisionTransformer
    return evaluating({
        "mmseg's ViT-B/16": VisionTransformer(
            size, with_cls_token=False, out_indices=(3, 5, 7, 11)),
        "mmdet's Swin-B": DetSwin(
            embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32),
            drop_path_rate=0.),
        "mmpretrain's ViTDet-B (SAM)": ViTSAM('base', size, out_channels=0),
    })


def evaluating(models: Dict[str, nn.Module]) -> Dict[str, nn.Module]:
    """The models in evaluation mode; ``eval()`` of some returns None."""
    for model in models.values():
        model.eval()
    return models


def variants(models: Dict[str, nn.Module], x: Tensor, options: Options,
             train: bool = False) -> List[Variant]:
    """Return a variant of each network and, if asked for, compiled ones."""
    found = []
    for name, model in models.items():
        gmacs = executed_gmacs(model, x, train)
        model.to(options.device)
        x = x.to(options.device)
        found.append(Variant(name, caller(model, model, x, train), len(x),
                             gmacs))
        if options.compile:
            network = torch.compile(model)
            found.append(Variant(
                f'{name}, compiled', caller(model, network, x, train), len(x),
                gmacs, partial(check_outputs, network, model, x,
                               BFLOAT16 if x.is_cuda else COMPILED)))
    return found


def caller(model: nn.Module, network: Callable, x: Tensor, train: bool
           ) -> Callable[[], None]:
    """Runs the network once, without the gradients of the time before."""
    def call() -> None:
        model.zero_grad(set_to_none=True)
        compute(network, x, train)
    return call


def compute(network: Callable, x: Tensor, train: bool = False) -> None:
    """A forward and perhaps a backward pass, on a GPU in bfloat16."""
    with torch.set_grad_enabled(train), torch.autocast(
            'cuda', torch.bfloat16, enabled=x.is_cuda):
        loss = sum(weighted(out) for out in tensors(network(x)))
    if train:
        loss.backward()


def weighted(out: Tensor) -> Tensor:
    """A sum whose gradient differs by channel.

    The plain sum over the channels of a LayerNorm has no gradient.
    """
    weights = torch.linspace(-1, 1, out.shape[1], device=out.device)
    return (out.float().flatten(2).sum(2) if out.dim() > 2 else out.float()
            ).matmul(weights).sum()


class Wrapped(BaseModel):
    """A model of nothing but a backbone, for :func:`count_step`."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError


def executed_gmacs(model: nn.Module, x: Tensor, train: bool) -> float:
    """Executed GMACs per image."""
    count = count_step(Wrapped(model), tuple(x.shape[2:]), len(x), train)
    return (count.forward['backbone'] + count.backward) / 2e9 / len(x)


@torch.no_grad()
def check_outputs(ours: nn.Module, theirs: nn.Module, x: Tensor,
                  tolerance: float = 2e-6) -> None:
    """The outputs must be equal up to rounding."""
    with torch.autocast('cuda', torch.bfloat16, enabled=x.is_cuda):
        error = check_equal(*(list(tensors(one(x))) for one in (ours, theirs)),
                            tolerance)
    print(f'outputs are equal to {error:.1e}')


def check_gradients(ours: HPViT, theirs: HostHPViT, x: Tensor) -> None:
    """The gradients of the blocks must be equal up to rounding."""
    compute(ours, x, train=True)
    compute(theirs, x, train=True)
    error = check_equal(*zip(*gradients(ours, theirs)), tolerance=2e-5)
    print(f'gradients are equal to {error:.1e}')


def gradients(ours: HPViT, theirs: HostHPViT
              ) -> Iterator[Tuple[Tensor, Tensor]]:
    """The gradients of the blocks' parameters, ours and the host's."""
    for block, layer in zip(ours.blocks, theirs.layers):
        for name, parameter in block.named_parameters():
            yield parameter.grad, layer.get_parameter(host_name(name)).grad


def check_flash(models: Any, x: Tensor, options: Options,
                train: bool = False) -> None:
    """On a GPU, tell whether attention runs in the fast kernels."""
    if options.device == 'cpu':
        return
    try:
        for model in models:
            with sdpa_kernel([SDPBackend.FLASH_ATTENTION,
                              SDPBackend.CUDNN_ATTENTION]):
                compute(model.to(options.device), x.to(options.device), train)
    except RuntimeError as error:
        print(f'attention does not run in flash kernels: {error}')
    else:
        print('attention runs in flash kernels')
