"""Reading checkpoints safely, and plain ViTs into HPViT."""
from .pretrained import LoadReport, load_pretrained
from .read import read_checkpoint

__all__ = ['LoadReport', 'load_pretrained', 'read_checkpoint']
