"""Masked autoencoders with distillation of attention maps."""
from typing import Dict, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpvit_mm.errors import UserError
from hpvit_mm.registry import MODELS
from .mae import MAE


@MODELS.register_module()
class DistilledMAE(MAE):
    """MAE that also learns the attention of a teacher (arXiv 2404.12210).

    The teacher sees the same visible units. The attention maps of its last
    block are compared with those of the student's last block, whose heads a
    1x1 convolution maps to the teacher's.

    With ``decouple`` (D2-MAE) the decoder reads an earlier output of the
    student, ``out_blocks=(7, 12)`` of a ViT with 13 blocks, and the last
    block serves the distillation alone; fine-tune the blocks before it, by
    ``stage_depths=(12, 1), out_indices=0``.

    Args:
        teacher: The backbone of the teacher, with its weights by
            ``init_cfg``. Its last block attends globally.
        distill_weight: Weight of the mean squared difference of the maps.
            Defaults to 1.
        decouple: Whether the decoder reads all outputs of the backbone but
            the last one, behind the block that is distilled. Defaults to
            False.
        kwargs: As for :class:`MAE`.

    Raises:
        UserError: If the teacher has other tokens than the student, or no
            attention maps.
    """

    def __init__(self, teacher: dict, distill_weight: float = 1.,
                 decouple: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.teacher = MODELS.build(teacher).requires_grad_(False)
        self.distill_weight, self.decouple = distill_weight, decouple
        tokens = [(one.mask_unit, one.strides[len(one.stages) - 1],
                   getattr(one, 'num_prefix', 0))
                  for one in (self.backbone, self.teacher)
                  if _distillable(one)]
        if len(tokens) < 2 or tokens[0] != tokens[1]:
            raise UserError(
                'model.teacher must have the mask unit, the stride of the '
                'last stage and the number of prefix tokens of '
                'model.backbone, and blocks with global attention, but they '
                f'are {tokens}: give a teacher of the same geometry.')
        attn, self._inputs = _last_block(self.backbone).attn, {}
        self.adapter = nn.Conv2d(
            attn.num_heads, _last_block(self.teacher).attn.num_heads, 1,
            bias=False)
        for name, one in (('student', self.backbone),
                          ('teacher', self.teacher)):
            _last_block(one).attn.register_forward_pre_hook(
                lambda _, inputs, name=name: self._inputs.update(
                    {name: inputs[0]}))
        if decouple:
            # What follows the attention map is in no loss.
            block = _last_block(self.backbone)
            for part in (block.attn.proj, block.norm2, block.mlp,
                         list(self.backbone.norms.values())[-1]):
                part.requires_grad_(False)

    def train(self, mode: bool = True) -> 'DistilledMAE':
        """Set the mode of all but the teacher, which stays in eval."""
        super().train(mode)
        self.teacher.eval()
        return self

    def decoded_features(self, features: Sequence[Tensor]
                         ) -> Sequence[Tensor]:
        return features[:-1] if self.decouple else features

    def extra_losses(self, inputs: Tensor, mask: Tensor) -> Dict[str, Tensor]:
        """The difference of the attention maps."""
        student = attention_map(_last_block(self.backbone).attn,
                                self._inputs.pop('student'))
        with torch.no_grad():
            self.teacher(self.hide(inputs, mask), mask)
            teacher = attention_map(_last_block(self.teacher).attn,
                                    self._inputs.pop('teacher'))
        loss = F.mse_loss(self.adapter(student).float(), teacher.float())
        return dict(loss_distill=self.distill_weight * loss)


def attention_map(attn: nn.Module, x: Tensor) -> Tensor:
    """Weights of a global attention, (B, heads, T, T).

    Args:
        attn: The attention, with ``qkv`` and ``num_heads``.
        x: Its input, (B, groups, tokens, C), of which all are one group.
    """
    # (B, G, t, C) -> (B, T, 3, heads, d) -> 3 of (B, heads, T, d)
    q, k, _ = attn.qkv(x.flatten(1, 2)).unflatten(
        2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    scale = q.shape[-1]**-0.5
    return (q * scale @ k.transpose(2, 3)).softmax(dim=3)


def _last_block(backbone: nn.Module) -> nn.Module:
    return backbone.blocks[-1]


def _distillable(backbone: nn.Module) -> bool:
    """Return whether the attention of the last block can be computed."""
    attn = getattr(_last_block(backbone), 'attn', None)
    return (hasattr(backbone, 'mask_unit') and hasattr(attn, 'qkv')
            and getattr(attn, 'is_global', True)
            and getattr(attn, 'q_bias', None) is None
            and getattr(backbone, 'rotary', None) is None)
