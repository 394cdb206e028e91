"""The networks that are timed, ours and those of the hosts' parts."""
from typing import Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


