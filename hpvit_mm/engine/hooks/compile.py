"""torch.compile by one line of a config."""
from typing import Optional

import torch
from mmengine.hooks import Hook

from hpvit_mm.errors import UserError
from hpvit_mm.models import BaseBackbone
from hpvit_mm.registry import HOOKS

# Graphs that torch may compile for the code of a block. Its own limit of 8 is
# soon reached, because blocks share their graphs, and each stage (its grid,
# with or without padding), training and testing need their own. Beyond the
# limit torch runs blocks uncompiled, with no more than a warning. There is no
# public name for the limit.
RECOMPILE_LIMIT = 64


@HOOKS.register_module()
class CompileHook(Hook):
    """Compile the blocks of the backbone, for training and for tests.

    Blocks are nearly all of the computation and alike: the graph of one
    serves the others. They are compiled in place, so that the names in
    checkpoints stay. The first iterations are slow, and so are the first
    images of another size. ::

        default_hooks = dict(compile=dict(type='hpvit_mm.CompileHook'))

    Args:
        backend: As in ``torch.compile``. Defaults to 'inductor'.
        mode: As in ``torch.compile``. Defaults to None, the default mode.
        dynamic: As in ``torch.compile``. Defaults to None: torch expects
            fixed sizes, until it sees others.
        fullgraph: Whether anything that cannot be compiled is an error.
            Defaults to False.

    Raises:
        UserError: If the model has no backbone of this package.
    """

    def __init__(self, backend: str = 'inductor', mode: Optional[str] = None,
                 dynamic: Optional[bool] = None,
                 fullgraph: bool = False) -> None:
        self.options = dict(
            backend=backend, mode=mode, dynamic=dynamic, fullgraph=fullgraph)

    def before_run(self, runner) -> None:
        """Mark the blocks; each is compiled when it is first called."""
        blocks = [
            block for backbone in runner.model.modules()
            if isinstance(backbone, BaseBackbone)
            for block in backbone.modules()
            if isinstance(block, backbone.block_classes)
        ]
        if not blocks:
            raise UserError(
                'CompileHook compiles the blocks of a backbone of hpvit_mm, '
                'but the model has none; remove the hook from default_hooks, '
                'or use such a backbone')
        config = torch._dynamo.config
        # newer torch calls it recompile_limit, and knows this name, too
        config.cache_size_limit = max(config.cache_size_limit,
                                      RECOMPILE_LIMIT)
        for block in blocks:
            block.compile(**self.options)
        runner.logger.info(f'The {len(blocks)} blocks of the backbone will be '
                           'compiled: the first iterations are slow')
