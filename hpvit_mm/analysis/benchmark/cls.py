"""A forward pass at 224 pixels, to one vector per image."""
import copy
from dataclasses import replace
from typing import Callable, List

import torch

from hpvit_mm.models.layers.linear import prefers_onednn
from .by_stage import by_stage, timer_of
from .networks import (HostHPViT, check_flash, classifiers, hpvit,
                       nominal_macs, variants)
from .timing import Options, check_equal, compare

BATCH = dict(cpu=2, cuda=256)


def by_mkl(call: Callable[[], None]) -> Callable[[], None]:
    """The same, with products of matrices by the library that torch takes."""
    def without_onednn() -> None:
        before = torch.backends.mkldnn.enabled
        torch.backends.mkldnn.enabled = False
        try:
            call()
        finally:
            torch.backends.mkldnn.enabled = before
    return without_onednn


def run(options: Options) -> List[dict]:
    """HPViT-B of mmpretrain's parts, ours, and other networks."""
    x = torch.randn(BATCH[options.device], 3, 224, 224)
    windows = hpvit(14, out_type='avg_featmap')
    dilated = hpvit(14, 'dilated', out_type='avg_featmap')
    host = HostHPViT(windows).eval()
    relative = HostHPViT(windows, True).eval()
    error = max(check_equal(windows, one, x[:2]) for one in (host, relative))
    print(f'equal to the network of mmpretrain\'s parts to {error:.1e}')
    nominal = nominal_macs(windows, x)
    found = [
        *variants("HPViT-B of mmpretrain's parts", host, x, options, nominal),
        *variants('the same, relative positions', relative, x, options,
                 nominal),
        *variants('ours, windows', windows, x, options, nominal),
        *variants('ours, dilated', dilated, x, options,
                 nominal_macs(dilated, x))]
    if options.device == 'cpu' and prefers_onednn():
        # a copy, in which stages are not timed
        found += [replace(one, call=by_mkl(one.call)) for one in variants(
            'ours, windows, by MKL', copy.deepcopy(windows), x, options,
            nominal)]
    for name, model in classifiers().items():
        found += variants(name, model, x, options)
    check_flash((windows, dilated), x[:2], options)
    title = f'classification, forward, 224, batch {len(x)}'
    timer = timer_of(windows, options)
    rows = compare(title, found, options,
                   pairs=[('ours, dilated', 'ours, windows')])
    return rows + by_stage(title, windows, x, timer, rows, options)
