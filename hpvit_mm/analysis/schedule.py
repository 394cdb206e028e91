"""The learning rate of a config, iteration by iteration."""
import math
from typing import List, Optional

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from hpvit_mm.errors import UserError
from .cost import schedule


def learning_rates(cfg: Config, epoch_length: Optional[int] = None
                   ) -> List[float]:
    """The base learning rate (``base_lr``) of every iteration.

    Args:
        cfg: The config of an experiment.
        epoch_length: Iterations per epoch. Defaults to None: computed, for
            ImageNet, COCO, ADE20K and Cityscapes.

    Raises:
        UserError: If the config does not train, or if ``epoch_length`` is
            needed and unknown.
    """
    if not cfg.get('optim_wrapper') or not cfg.get('train_cfg'):
        raise UserError(f'{cfg.filename} does not train: it has no learning '
                        'rate to plot')
    entries = cfg.get('param_scheduler') or []
    entries = [entries] if isinstance(entries, dict) else entries
    iterations = cfg.train_cfg.get('max_iters')
    if not iterations:
        epoch_length = epoch_length or iterations_per_epoch(cfg)
        iterations = cfg.train_cfg.max_epochs * epoch_length
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))],
                                cfg.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(dict(one), default_args=dict(
            optimizer=optimizer, epoch_length=epoch_length))
        for one in entries
    ]
    rates = []
    for iteration in range(iterations):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()  # torch warns where a scheduler steps first
        for one in schedulers:
            if not one.by_epoch or (iteration + 1) % epoch_length == 0:
                one.step()
    return rates


def iterations_per_epoch(cfg: Config) -> int:
    """Batches in an epoch of one of the four full data sets."""
    try:
        images, epochs, _ = schedule(cfg)
    except UserError as error:
        raise UserError(f'{cfg.filename} counts epochs, and the size of its '
                        'data set is unknown: give --epoch-length N'
                        ) from error
    batch = cfg.auto_scale_lr.base_batch_size // cfg.optim_wrapper.get(
        'accumulative_counts', 1)
    return math.ceil(images * epochs / cfg.train_cfg.max_epochs / batch)
