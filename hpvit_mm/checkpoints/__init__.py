"""Read checkpoints safely, and adapt them to backbones."""
from .adapt import fit
from .head import PretrainedHead
from .model_folder import from_pretrained, save_pretrained
from .plain import read_plain
from .pretrained import fit_pretrained, load_pretrained
from .read import read_checkpoint
from .report import LoadReport

__all__ = ['LoadReport', 'PretrainedHead', 'fit', 'fit_pretrained',
           'from_pretrained', 'load_pretrained', 'read_checkpoint',
           'read_plain', 'save_pretrained']
