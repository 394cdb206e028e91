"""Reading checkpoints safely, and plain ViTs into HPViT."""
from .pretrained import LoadReport, backbone_tensors, load_pretrained
from .read import read_checkpoint

__all__ = [
    'LoadReport', 'backbone_tensors', 'load_pretrained', 'read_checkpoint'
]
