"""Reading checkpoints safely, and plain ViTs into HPViT."""
from .head import PretrainedHead
from .plain import PlainViT, read_plain
from .pretrained import LoadReport, fit, fit_pretrained, load_pretrained
from .read import read_checkpoint

__all__ = [
    'LoadReport', 'PlainViT', 'PretrainedHead', 'fit',
    'fit_pretrained', 'load_pretrained', 'read_checkpoint', 'read_plain'
]
