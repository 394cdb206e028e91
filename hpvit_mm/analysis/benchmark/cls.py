"""A forward pass at 224 pixels, to one vector per image."""
from typing import List

import torch

from .networks import HostHPViT, hpvit
from .timing import Options, Variant, check_equal, compare


def run(options: Options) -> List[dict]:
    x = torch.randn(2, 3, 224, 224)
    ours = hpvit(14, out_type='avg_featmap')
    host = HostHPViT(ours).eval()
    dilated = hpvit(14, 'dilated', out_type='avg_featmap')
    check_equal(ours, host, x)
    with torch.no_grad():
        return compare('classification, forward, 224, batch 2', [
            Variant("of mmpretrain's parts", lambda: host(x), 2),
            Variant('ours, windows', lambda: ours(x), 2),
            Variant('ours, dilated', lambda: dilated(x), 2)], options)
