"""Whether torch runs a network, or records it."""
import torch


def is_recorded() -> bool:
    """Whether torch makes a graph of what is computed now.

    ``torch.compile``, ``torch.export`` and ``torch.jit.trace`` do. A graph is
    for other inputs too: what depends on how large these are, on where they
    are or on what was kept from others must not get into it.
    """
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
