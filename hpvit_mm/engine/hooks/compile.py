"""torch.compile by one line of a config."""
from typing import Optional

import torch
from mmengine.hooks import Hook
from torch import nn

from hpvit_mm.errors import UserError
from hpvit_mm.registry import HOOKS

# Variants of a block that torch may compile: its limit of 8 is soon reached,
# because blocks share their variants, and each stage (its grid, with padding
# or without), training and testing need their own. Beyond the limit torch
# leaves blocks as they are, with no more than a warning.
RECOMPILE_LIMIT = 64


@HOOKS.register_module()
class CompileHook(Hook):
    """Compiles the blocks of the backbone, for training and for tests.

    The blocks, because they are nearly all of the computation and alike: what
    is compiled for one serves the others. In place, so that the names in
    checkpoints stay. The first iterations are slow, and so is the first image
    of another size. ::

        default_hooks = dict(compile=dict(type='hpvit_mm.CompileHook'))

    Args:
        backend: As in ``torch.compile``. Defaults to 'inductor'.
        mode: As in ``torch.compile``. Defaults to None, the default mode.
        dynamic: As in ``torch.compile``. Defaults to None: torch expects
            fixed sizes, until it sees others.
        fullgraph: Whether anything that cannot be compiled is an error.
            Defaults to False.

    Raises:
        UserError: If the backbone of the model has no ``blocks``.
    """

    def __init__(self, backend: str = 'inductor', mode: Optional[str] = None,
                 dynamic: Optional[bool] = None,
                 fullgraph: bool = False) -> None:
        self.options = dict(
            backend=backend, mode=mode, dynamic=dynamic, fullgraph=fullgraph)

    def before_run(self, runner) -> None:
        """Mark the blocks; each is compiled when it is first called."""
        backbone = getattr(unwrap(runner.model, 'backbone'), 'backbone', None)
        if not hasattr(backbone, 'blocks'):
            raise UserError(
                'CompileHook compiles the blocks of model.backbone, but '
                f'{type(backbone).__name__} has none; remove the hook from '
                'default_hooks, or use a backbone with blocks')
        config = torch._dynamo.config
        config.recompile_limit = max(config.recompile_limit, RECOMPILE_LIMIT)
        for block in backbone.blocks:
            unwrap(block).compile(**self.options)
        runner.logger.info(
            f'The {len(backbone.blocks)} blocks of the backbone will be '
            'compiled: the first iterations are slow')


def unwrap(module: nn.Module, name: str = '') -> nn.Module:
    """What is inside of wrappers: of DDP, FSDP and test-time augmentation.

    Args:
        module: The wrapped module.
        name: Go no deeper than to the module with this attribute.
    """
    while hasattr(module, 'module') and not (name and hasattr(module, name)):
        module = module.module
    return module
