"""Hook for checkpoints that torch loads with weights_only=True."""
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from hpvit_mm.checkpoints.convert import plain_data
from hpvit_mm.registry import HOOKS

WEIGHTS = ('state_dict', 'ema_state_dict', 'optimizer')


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Restrict checkpoints to tensors and plain Python values.

    mmengine pickles its loss curves as ``HistoryBuffer`` objects, which
    ``torch.load(weights_only=True)``, the default since torch 2.6, refuses; so
    mmengine 0.10.7 cannot resume from its own checkpoints. This hook writes
    the curves as lists and restores them on loading. It can go when mmengine
    does so itself.
    """

    # after the hooks that add entries to the checkpoint
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Convert everything but the weights to plain values.

        The arguments of an HPViT join them: with them the file tells its
        architecture, to ``create_backbone`` and to the way back.
        """
        backbone = (runner.cfg.get('model') or {}).get('backbone') or {}
        if str(backbone.get('type')).split('.')[-1] == 'HPViT':
            checkpoint['meta']['backbone'] = plain_data({
                name: value for name, value in backbone.items()
                if name not in ('type', 'init_cfg')})
        for key in checkpoint.keys() - set(WEIGHTS):
            checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Restore the curves, which a resumed run continues."""
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, curve in scalars.items():
            if isinstance(curve, dict):
                scalars[name] = HistoryBuffer(**curve)


def to_plain(value: Any) -> Any:
    """Copy nested values, with types of NumPy and mmengine replaced."""
    if isinstance(value, HistoryBuffer):
        log_history, count_history = value.data
        return dict(
            log_history=log_history.tolist(),
            count_history=count_history.tolist(),
            max_length=value.max_length)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value) \
            if type(value) in (list, tuple) else [to_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value
