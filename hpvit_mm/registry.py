"""Registries of the scope ``hpvit_mm``.

mmengine imports this module by its name when a config says
``type='hpvit_mm.X'``, and then imports the ``locations`` below. It hides
errors that are raised here, so this file imports mmengine and nothing else.
"""
from importlib import import_module
from typing import Dict, Optional

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import \
    OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import STRATEGIES as MMENGINE_STRATEGIES
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import \
    WEIGHT_INITIALIZERS as MMENGINE_WEIGHT_INITIALIZERS
from mmengine.registry import Registry


class OnDemandRegistry(Registry):
    """A registry that imports some of its modules when a name is asked for.

    They build on classes of mmpretrain, mmdet or mmseg, and who uses one of
    these need not have the others.

    Args:
        on_demand: Name -> the module that registers it.
    """

    def __init__(self, *args, on_demand: Dict[str, str], **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.on_demand = on_demand

    def get(self, key: str) -> Optional[type]:
        """The class of a name; a UserError where its host is missing."""
        name = str(key).removeprefix(f'{self.scope}.')
        if name in self.on_demand:
            try:
                import_module(self.on_demand[name])
            except ModuleNotFoundError as error:
                from hpvit_mm.errors import UserError
                raise UserError(
                    f'{self.scope}.{name} needs {error.name}, which is not '
                    'installed; install it, or name another type') from error
        return super().get(key)


MODELS = OnDemandRegistry(
    'model', parent=MMENGINE_MODELS, scope='hpvit_mm',
    locations=['hpvit_mm.models'],
    on_demand=dict(
        FastClsDataPreprocessor='hpvit_mm.models.data_preprocessors.cls',
        FastDetDataPreprocessor='hpvit_mm.models.data_preprocessors.det',
        FastEncoderDecoder='hpvit_mm.models.segmentors',
        FastSegDataPreProcessor='hpvit_mm.models.data_preprocessors.seg',
        FastSegTTAModel='hpvit_mm.models.segmentors'))
METRICS = OnDemandRegistry(
    'metric', parent=MMENGINE_METRICS, scope='hpvit_mm',
    on_demand=dict(FastIoUMetric='hpvit_mm.evaluation.iou_metric'))
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
TRANSFORMS = OnDemandRegistry(
    'transform', parent=MMENGINE_TRANSFORMS, scope='hpvit_mm', on_demand={
        'FastRandomResizedCrop': 'hpvit_mm.datasets.transforms.cls',
        'FastDetLoadAnnotations': 'hpvit_mm.datasets.transforms.det',
        'FastDetRandomFlip': 'hpvit_mm.datasets.transforms.det',
        'FastPackDetInputs': 'hpvit_mm.datasets.transforms.det',
        'FastSegRandomCrop': 'hpvit_mm.datasets.transforms.seg',
        'FastSegPhotoMetricDistortion': 'hpvit_mm.datasets.transforms.seg',
        'FastPackSegInputs': 'hpvit_mm.datasets.transforms.seg',
    })
