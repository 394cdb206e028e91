"""A forward pass at 512 pixels, to four levels."""
from typing import List

import torch

from .networks import HostHPViT, hpvit
from .timing import Options, Variant, check_equal, compare


def run(options: Options) -> List[dict]:
    x = torch.randn(1, 3, 512, 512)
    ours = hpvit(16)
    host = HostHPViT(ours, size=512).eval()
    relative = HostHPViT(ours, True, 512).eval()
    check_equal(ours, host, x)
    check_equal(ours, relative, x)
    with torch.no_grad():
        return compare('four levels, forward, 512, batch 1', [
            Variant("of mmpretrain's parts", lambda: host(x), 1),
            Variant('the same with relative positions',
                    lambda: relative(x), 1),
            Variant('ours, windows', lambda: ours(x), 1)], options)
