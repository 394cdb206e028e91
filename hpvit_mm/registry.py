"""Registries of the scope ``hpvit_mm``.

mmengine imports this module by its name when a config says
``type='hpvit_mm.X'``, and then imports the ``locations`` below. It hides
errors that are raised here, so this file imports mmengine and nothing else.
"""
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
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

# Config.fromfile then finds 'hpvit_mm::imagenet/...'. It also sets a scope, in
# which classes of the hosts are not found: load_config drops it.
MODULE2PACKAGE.setdefault('hpvit_mm', 'hpvit_mm')

MODELS = Registry(
    'model', parent=MMENGINE_MODELS, scope='hpvit_mm',
    locations=['hpvit_mm.models'])
DATASETS = Registry(
    'dataset', parent=MMENGINE_DATASETS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, scope='hpvit_mm',
    locations=['hpvit_mm.engine'])
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
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='hpvit_mm',
    locations=['hpvit_mm.datasets.transforms'])
