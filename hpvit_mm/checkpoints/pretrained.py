"""Load pre-trained weights into a backbone."""
from typing import Dict, Optional, Tuple

from torch import Tensor, nn

from .read import read_checkpoint
from .report import LoadReport, check_finite


def load_pretrained(backbone: nn.Module, checkpoint: str,
                    **options) -> LoadReport:
    """Load pre-trained weights into a backbone, completely or not at all.

    Arguments and errors are those of :func:`fit_pretrained`.
    """
    tensors, report = fit_pretrained(backbone, checkpoint, **options)
    backbone.load_state_dict(tensors, strict=False)
    return report


def fit_pretrained(backbone: nn.Module, checkpoint: str,
                   sha256: Optional[str] = None, **options
                   ) -> Tuple[Dict[str, Tensor], LoadReport]:
    """Adapt a checkpoint to a backbone without loading it.

    Args:
        backbone: The backbone; its parameters need no values.
        checkpoint: A file, a URL, or a folder of Hugging Face.
        sha256: SHA-256 of the file, or its first 8 or more digits. Defaults
            to None: only the hash in a downloaded file's name is checked.
        **options: As for the backbone's ``fit_checkpoint``.

    Returns:
        Tensors by the backbone's names, and the report.

    Raises:
        UserError: If the file cannot be read safely or does not fit.
    """
    tensors, report = backbone.fit_checkpoint(
        read_checkpoint(checkpoint, sha256), str(checkpoint), **options)
    check_finite(tensors, str(checkpoint))
    return tensors, report
