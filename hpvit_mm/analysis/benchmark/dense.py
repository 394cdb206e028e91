"""A forward pass at 512 pixels, to four levels; on a GPU also at 1024."""
from typing import List

import torch

from .by_stage import by_stage, timer_of
from .networks import (HostHPViT, check_flash, hpvit, nominal_macs,
                       pyramids, variants)
from .timing import Options, check_equal, compare

# Side of the images -> batch.
BATCHES = dict(cpu={512: 1}, cuda={512: 32, 1024: 8})


def run(options: Options) -> List[dict]:
    """HPViT-B of mmpretrain's parts, ours, and other networks.

    mmpretrain's parts are timed with windows of 16 tokens a side, as ours,
    with which the results are the same, and with ViTDet's 14, which leave a
    rest at these sizes and are padded: that is another function, of the same
    weights.
    """
    rows = []
    for size, batch in BATCHES[options.device].items():
        x = torch.randn(batch, 3, size, size)
        windows, dilated = hpvit(16), hpvit(16, 'dilated')
        host = HostHPViT(windows, size=size).eval()
        # a quarter of the tokens tells the same in less time
        error = check_equal(windows, host, x[:1, :, ::2, ::2])
        print(f'equal to the network of mmpretrain\'s parts to {error:.1e}')
        nominal = nominal_macs(windows, x)
        parts = {"HPViT-B of mmpretrain's parts": host}
        for relative in (False, True):
            name = 'the same, windows of 14' + (
                ', relative positions' if relative else '')
            parts[name] = HostHPViT(windows, relative, size, 14).eval()
        found = []
        for name, model in parts.items():
            found += variants(name, model, x, options, nominal)
        found += variants('ours, windows', windows, x, options, nominal)
        found += variants('ours, dilated', dilated, x, options,
                            nominal_macs(dilated, x))
        for name, model in pyramids(size).items():
            found += variants(name, model, x, options)
        check_flash((windows, dilated), x[:1], options)
        title = f'four levels, forward, {size}, batch {batch}'
        timer = timer_of(windows, options)
        timed = compare(title, found, options, pairs=[
            ('ours, windows', name) for name in list(parts)[1:]])
        rows += timed + by_stage(title, windows, x, timer, timed,
                                 options)
    return rows
