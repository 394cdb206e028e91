"""Load the classification head of a fine-tuned checkpoint."""
import re
from typing import Optional

from mmengine.logging import print_log
from torch import nn

from hpvit_mm.errors import UserError
from hpvit_mm.registry import WEIGHT_INITIALIZERS
from .plain import flatten
from .read import read_checkpoint
from .report import check_finite

# MAE, timm and DeiT; mmpretrain; Hugging Face.
HEAD = re.compile(r'(.*\.)?(head|head\.fc|classifier)\.(weight|bias)')


@WEIGHT_INITIALIZERS.register_module()
class PretrainedHead:
    """Initialise a linear head from a fine-tuned plain ViT.

    For ``init_cfg`` of mmpretrain's linear heads, where the backbone's
    ``init_cfg`` names the same file: a converted model can be tested without
    any training.

    Args:
        checkpoint: A file, a URL, or a folder of Hugging Face.
        sha256: SHA-256 of the file. Defaults to None.

    Raises:
        UserError: When called, if the file has no such layer, or one with
            another number of classes or channels.
    """

    def __init__(self, checkpoint: str, sha256: Optional[str] = None) -> None:
        self.checkpoint = checkpoint
        self.sha256 = sha256

    def __call__(self, module: nn.Module) -> None:
        """Fill ``module.fc``."""
        tensors = {}
        content = read_checkpoint(self.checkpoint, self.sha256)
        for name, tensor in flatten(content).items():
            found = HEAD.fullmatch(name)
            if found:
                tensors[found[3]] = tensor
        check_finite(tensors, self.checkpoint)
        own = module.fc.state_dict()
        if tensors.keys() != own.keys():
            raise UserError(f'{self.checkpoint} has no classification head '
                            '(head.weight and head.bias): use a fine-tuned '
                            'checkpoint, or another init_cfg.')
        for name, tensor in tensors.items():
            if tensor.shape != own[name].shape:
                raise UserError(
                    f'the head of {self.checkpoint} has {name} of shape '
                    f'{tuple(tensor.shape)}, and that of the model '
                    f'{tuple(own[name].shape)}: set num_classes and '
                    'in_channels to those of the checkpoint.')
        module.fc.load_state_dict(tensors)
        print_log(f'Classification head from {self.checkpoint}',
                  logger='current')
