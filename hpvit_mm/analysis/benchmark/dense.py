"""A forward pass at 512 pixels, to four levels; on a GPU also at 1024."""
from dataclasses import replace
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

    mmpretrain's parts are timed with ViTDet's windows of 14 tokens a side,
    which leave a rest at these sizes and are padded: that is another function
    of the same weights than with our windows of 16, with which the results
    are compared first.
    """
    rows = []
    for size, batch in BATCHES[options.device].items():
        x = torch.randn(batch, 3, size, size)
        windows = hpvit(16)
        # few tokens tell the same in less time: 4 windows, behind them 1
        error = check_equal(windows, HostHPViT(windows, size=size).eval(),
                            x[:1, :, ::4, ::4])
        print(f'equal to the network of mmpretrain\'s parts to {error:.1e}')
        nominal = nominal_macs(windows, x)
        host, relative = (HostHPViT(windows, has, size, 14).eval()
                          for has in (False, True))
        found = [
            *variants("HPViT-B of mmpretrain's parts", host, x, options,
                      nominal),
            *variants('the same, relative positions', relative, x, options,
                      nominal),
            *variants('ours, windows', windows, x, options, nominal)]
        for name, model in pyramids(size).items():
            # the time goes to the ratios of ours, where a CPU is slow
            found += [replace(one, every=2 if options.device == 'cpu' else 1)
                      for one in variants(name, model, x, options)]
        check_flash((windows, hpvit(16, 'dilated')), x[:1], options)
        title = f'four levels, forward, {size}, batch {batch}'
        timer = timer_of(windows, options)
        timed = compare(title, found, options, pairs=[
            ('ours, windows', 'the same, relative positions')])
        rows += timed + by_stage(title, windows, x, timer, timed,
                                 options)
    return rows
