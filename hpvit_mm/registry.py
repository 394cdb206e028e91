"""Registries of the scope ``hpvit_mm``.

mmengine imports this module by its name when a config says
``type='hpvit_mm.X'``, and then imports the ``locations`` below. It hides
errors that are raised here, so this file imports mmengine and nothing else.
"""
from importlib import import_module
from typing import Dict, Optional, Type

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import \
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import STRATEGIES as MMENGINE_STRATEGIES
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import \
    WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry


class LazyRegistry(Registry):
    """A registry of types that derive from those of the host libraries.

    A module is imported when one of its types is asked for, so that nobody
    needs the hosts of the others.

    Args:
        name (str): As of any registry.
        modules (dict): Name of each type to the module that registers it.
        **kwargs: Of :class:`mmengine.registry.Registry`.
    """

    def __init__(self, name: str, modules: Dict[str, str], **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.modules = modules

    def get(self, key: str) -> Optional[Type]:
        """The type of a name, with or without the scope."""
        module = self.modules.get(key.rpartition('.')[2])
        if module is not None:
            import_module(module)
        return super().get(key)


MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='hpvit_mm',
    locations=['hpvit_mm.models'])
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
OPTIM_WRAPPERS = Registry(
    'optim_wrapper', parent=MMENGINE_OPTIM_WRAPPERS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
STRATEGIES = Registry(
    'strategy', parent=MMENGINE_STRATEGIES, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
LOOPS = Registry(
    'loop', parent=MMENGINE_LOOPS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
WEIGHT_INITIALIZERS = Registry(
    'weight initializer', parent=MMENGINE_WEIGHT_INITIALIZERS,
    scope='hpvit_mm', locations=['hpvit_mm.checkpoints'])
TRANSFORMS = LazyRegistry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='hpvit_mm', modules={
        'RandomResizedCrop': 'hpvit_mm.datasets.transforms.cls',
        'DetLoadAnnotations': 'hpvit_mm.datasets.transforms.det',
        'DetRandomFlip': 'hpvit_mm.datasets.transforms.det',
        'PackDetInputs': 'hpvit_mm.datasets.transforms.det',
        'SegRandomCrop': 'hpvit_mm.datasets.transforms.seg',
        'SegPhotoMetricDistortion': 'hpvit_mm.datasets.transforms.seg',
        'PackSegInputs': 'hpvit_mm.datasets.transforms.seg',
    })
