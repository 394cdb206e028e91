"""Random numbers that depend on the place where they are drawn.

A run draws from generators that are set anew at each sample and each
iteration, from the seed of the run and that place. So nothing about them
needs to be saved: whoever comes to iteration 150,000 draws what any other
process draws there, whatever was before, in whichever worker.
"""
import hashlib
import random

import numpy as np
import torch


def seed_for(*place) -> int:
    """A seed of 63 bits from what tells a place: numbers and words."""
    text = repr(place).encode()
    return int.from_bytes(
        hashlib.blake2b(text, digest_size=8).digest(), 'little') >> 1


def seed_generators(seed: int) -> None:
    """Set the generators of Python, NumPy and torch, on all devices.

    ``torch.manual_seed`` does the same for torch; while there is no use of a
    GPU yet it notes down where it was called, which takes ten times as long.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
