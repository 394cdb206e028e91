"""Effective batch size and learning-rate scaling."""
from typing import Union

from mmengine.runner import FlexibleRunner, Runner


def settle_batch_size(runner: Union[Runner, FlexibleRunner]) -> None:
    """Log the effective batch size, and scale the learning rate if enabled.

    ``auto_scale_lr`` has the same entries as for mmengine, whose own scaling
    ignores gradient accumulation. The scaled rate is set in the config of the
    optimizer, which is built when training starts.
    """
    images = runner.cfg.train_dataloader.batch_size
    batches = runner.cfg.optim_wrapper.get('accumulative_counts', 1)
    at_once = images * runner.world_size
    real = at_once * batches
    text = (f'Batch size: {images} images x {runner.world_size} processes x '
            f'{batches} accumulated batches = {real}')
    scaling = getattr(runner, 'auto_scale_lr', None) or getattr(
        runner, '_auto_scale_lr', None) or {}  # FlexibleRunner's name for it
    base = scaling.get('base_batch_size')
    if not base:
        runner.logger.info(text)
    elif scaling.get('enable'):
        runner.optim_wrapper['optimizer']['lr'] *= real / base
        scaling['enable'] = False
        runner.logger.info(f'{text}, and {base} in the recipe: its learning '
                           f'rate is multiplied by {real / base:g}')
    elif real == base:
        runner.logger.info(f'{text}, as in the recipe')
    else:
        remedy = f'--auto-scale-lr, which multiplies it by {real / base:g}'
        if base % at_once == 0 and base > real:
            remedy += (', or --cfg-options optim_wrapper.accumulative_counts='
                       f'{base // at_once}')
        runner.logger.warning(f"{text}, but the recipe's learning rate is for "
                              f'updates from {base} images: add {remedy}')
