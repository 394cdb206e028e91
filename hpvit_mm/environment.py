"""What the installed stack needs: versions, checks, and workarounds.

Every workaround says why it exists and when it can go. This module imports
only the standard library, so that it costs nothing and runs anywhere, also
before anything is installed (``tools/setup_env.sh`` uses it from outside).

``python -m hpvit_mm.environment`` imports all that a complete environment
promises and prints one line per component.
"""
import functools
import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import platform
import sys
import warnings

from hpvit_mm.errors import UserError

# Both stacks bring the same import names under different distributions.
STACKS = {
    'official': ('mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain'),
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection',
              'onedl-mmsegmentation', 'onedl-mmpretrain'),
}

# Component: the distributions that may bring it, and the import that proves
# it works. The hosts' top packages import almost nothing; `apis` does.
COMPONENTS = {
    'torch': (('torch', ), 'torch'),
    'torchvision': (('torchvision', ), 'torchvision'),
    'numpy': (('numpy', ), 'numpy'),
    'opencv': (('opencv-python-headless', 'opencv-python',
                'opencv-contrib-python-headless',
                'opencv-contrib-python'), 'cv2'),
    'mmengine': (('mmengine', 'onedl-mmengine'), 'mmengine.runner'),
    'mmcv': (('mmcv', 'onedl-mmcv'), 'mmcv.ops'),
    'mmdet': (('mmdet', 'onedl-mmdetection'), 'mmdet.apis'),
    'mmsegmentation': (('mmsegmentation', 'onedl-mmsegmentation'),
                       'mmseg.apis'),
    'mmpretrain': (('mmpretrain', 'onedl-mmpretrain'), 'mmpretrain.apis'),
    'scikit-learn': (('scikit-learn', ), 'sklearn'),
    'scikit-image': (('scikit-image', ), 'skimage'),
    'pytest': (('pytest', ), 'pytest'),
    'hpvit_mm': (('hpvit_mm', ), 'hpvit_mm.registry'),
}


def version_of(distribution, path=None):
    """The installed version of a distribution, or None."""
    context = dict(name=distribution)
    if path is not None:
        context['path'] = path
    for found in importlib.metadata.distributions(**context):
        return found.version
    return None


def versions():
    """Component -> installed version or None, without importing any."""
    result = {'python': platform.python_version()}
    for component, (distributions, _) in COMPONENTS.items():
        result[component] = next(
            filter(None, map(version_of, distributions)), None)
    return result


def installed_stacks(path=None):
    """Stack -> {distribution: version} of what is installed of it.

    Args:
        path (list[str], optional): Folders to look in, such as the
            site-packages of another environment. Defaults to ``sys.path``.
    """
    return {
        stack: {
            name: version
            for name in names
            if (version := version_of(name, path)) is not None
        }
        for stack, names in STACKS.items()
    }


def check_stack(path=None):
    """The name of the installed stack; refuse two stacks in one environment.

    The distributions of both stacks own the same folders: whichever came
    last has overwritten the other, and uninstalling one damages both.
    """
    found = installed_stacks(path)
    official, onedl = found['official'], found['onedl']
    if official and onedl:
        raise UserError(
            'the official packages ({}) and the onedl forks ({}) are '
            'installed in one environment and overwrite each other: delete '
            'that environment (rm -rf .venv) and make a new one with bash '
            'tools/setup_env.sh'.format(
                *(', '.join(f'{k} {v}' for k, v in part.items())
                  for part in (official, onedl))))
    if not official and not onedl:
        raise UserError(
            'neither the OpenMMLab packages nor their onedl forks are '
            f'installed for {sys.executable}: run bash tools/setup_env.sh, '
            'and use the Python of the environment that it makes')
    return 'official' if official else 'onedl'


# --------------------------------------------------------------- workarounds

# (message, module): warnings at import or while a model is built, from the
# stack about itself, about which a user can do nothing. Both must match, so
# that no other warning is hidden. They go with the versions named.
_USELESS_WARNINGS = (
    # mmengine 0.10.7 reads versions through pkg_resources; requirements.txt
    # keeps a setuptools that still has it. (It also reloads it.)
    (r'pkg_resources is deprecated as an API', r'mmengine\.|importlib'),
    # mmseg 1.2.2's and onedl-mmsegmentation 1.4.2's heads call it themselves.
    (r'``build_loss`` would be deprecated soon', r'mmseg\.models\.builder'),
    # mmseg 1.2.2 explains a default of its own loss, and that its hook, which
    # is there for --show-dir, does not draw.
    (r'Default ``avg_non_ignore`` is False', r'mmseg\.models\.losses'),
    (r'The draw is False, it means', r'mmseg\.engine\.hooks'),
    # torch 2.13 renames an argument that mmengine 0.10.7 gives to DDP.
    (r'`broadcast_buffers` is deprecated', r'mmengine\.model\.wrappers'),
    # mmengine's schedulers step every iteration, also while gradients are
    # accumulated, or when mixed precision skips a step.
    (r'Detected call of `scheduler.step\(\)` before',
     r'mmengine\.optim\.scheduler'),
    # mmseg, at 769 pixels, of the pooled maps of its own head; mmengine, of
    # the label maps of an augmented test; mmdet, of its own mask head.
    (r'When align_corners=True, the output', r'mmseg\.models\.utils'),
    (r'The shape of value will convert from', r'mmengine\.structures'),
    (r'To copy construct from a tensor', r'mmdet\.models\.roi_heads'),
    # mmengine, of what mmdet draws: boxes and masks that touch the border
    (r'Warning: The (bbox|polygon|text) is out of bounds',
     r'mmengine\.visualization'),
    # torch 2.13 names a successor of what mmengine 0.10.7 calls with FSDP.
    (r'FSDP\.state_dict_type\(\) and FSDP', r'mmengine\._strategy'),
    # onedl-mmdetection 3.5.1, of a metric that no config here uses.
    (r'faster_coco_eval is not installed',
     r'mmdet\.evaluation\.metrics\.faster_coco_metric'),
)

# The same in the runner's log: mmengine 0.10.7 warns of its own use of its own
# deprecated functions, and mmseg's metric has no prefix by design.
_USELESS_LOG_LINES = (
    '"FileClient" will be deprecated in future',
    '"HardDiskBackend" is the alias of "LocalBackend"',
    'The prefix is not set in metric class IoUMetric',
)


def quiet(logger):
    """Keep the useless lines out of a log; call it once per logger."""
    logger.addFilter(lambda record: not record.getMessage().startswith(
        _USELESS_LOG_LINES))


def prepare():
    """Make the imports of the stack work and quiet; cheap and idempotent.

    Call it at the top of a script, outside of ``main``, before anything
    imports torchvision (mmpretrain, and through it mmdet and mmseg, do):
    processes that are spawned instead of forked run the top of the script
    again, and so are prepared as well.
    """
    for message, module in _USELESS_WARNINGS:
        # An identical filter is moved to the front, not added again.
        warnings.filterwarnings('ignore', message=message, module=module)
    for name, action in (('torchvision', _define_torchvision_ops),
                         ('mmdet', _silence_onedl),
                         ('mmseg', _silence_onedl),
                         ('mmpretrain', _silence_onedl),
                         ('mmpretrain.models', _leave_multimodal_out),
                         ('mmpretrain.datasets', _leave_multimodal_out)):
        _Before.importing(name, action)


class _Before(importlib.abc.MetaPathFinder):
    """Runs an action just before a package is imported for the first time.

    It finds nothing itself. A program that does not need the package does
    not pay for the action.
    """

    def __init__(self, package, action):
        self.package, self.action = package, action

    @classmethod
    def importing(cls, package, action):
        waiting = (finder.package for finder in sys.meta_path
                   if isinstance(finder, cls))
        if package not in sys.modules and package not in waiting:
            sys.meta_path.insert(0, cls(package, action))

    def find_spec(self, fullname, path=None, target=None):
        if fullname == self.package:
            sys.meta_path.remove(self)
            self.action()
        return None


_ONEDL_LINES = ('Could not import OneDL',
                'Could not import OneDL. Skipping OneDL datasets.')


def _silence_onedl():
    """Drop two lines that the forks print at import.

    Why: they announce, on every start and in every data-loading process, that
    a commercial client library is absent, at the level of debugging, which
    mmengine's ``print_log`` ignores as long as there is no logger.
    When it can go: when the forks stop printing them.
    """
    if version_of('onedl-mmengine') is None:
        return
    import mmengine.logging
    original = mmengine.logging.print_log
    if hasattr(original, 'without_onedl_lines'):
        return

    @functools.wraps(original)
    def print_log(msg, *args, **kwargs):
        if msg not in _ONEDL_LINES:
            original(msg, *args, **kwargs)

    print_log.without_onedl_lines = True
    mmengine.logging.print_log = print_log


def _leave_multimodal_out():
    """Keep mmpretrain from importing its models of images with text.

    Why: it does so wherever transformers is installed, and fails with those
    from 4.52 on ("NoneType takes no arguments"), as mmseg then does, which
    imports it. Nothing here uses these models.
    When it can go: when mmpretrain works with transformers 5.
    """
    from mmpretrain.utils import dependency
    dependency.WITH_MULTIMODAL = False


_torchvision_library = None  # the definitions last as long as this object


def _define_torchvision_ops():
    """Declare torchvision's two ops where its extension cannot be loaded.

    Why: PyPI's torchvision is built for CUDA. Beside a CPU-only torch its
    extension cannot load, and ``import torchvision`` dies with "operator
    torchvision::nms does not exist", because it registers a fake of an op
    that nobody defined. With the two schemas everything written in Python
    works, which is all that the stack uses (mmcv has its own nms).
    When it can go: when the index that gives a CPU-only torch gives the
    matching torchvision too, or when torchvision checks before it registers.
    """
    global _torchvision_library
    spec = importlib.util.find_spec('torchvision')
    if _torchvision_library is not None or spec is None:
        return
    import torch
    folder = spec.submodule_search_locations[0]
    try:  # as torchvision will do; a second load of a library is free
        torch.ops.load_library(os.path.join(folder, '_C.so'))
    except OSError:
        library = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            library.define(
                f'{name}(Tensor dets, Tensor scores, float iou_threshold) '
                '-> Tensor')
        _torchvision_library = library


# -------------------------------------------------------------------- report


def _mmcv_ops():
    """For which device mmcv's ops are built; an error if for the wrong one.

    pip's cache of built packages does not tell builds with and without CUDA
    apart, and neither does mmcv's version.
    """
    import torch
    from mmcv.ops import get_compiling_cuda_version
    cuda = get_compiling_cuda_version()
    if cuda != 'not available':
        return f'ops for CUDA {cuda}'
    force = os.environ.get('FORCE_CUDA')
    if force == '1' or (force != '0' and torch.cuda.is_available()):
        raise RuntimeError('its ops are built without CUDA')
    return 'ops for CPU'


def _notes():
    """Component -> what to add to its version in the report."""
    import hpvit_mm
    return {
        'python': lambda: sys.executable,
        'mmcv': _mmcv_ops,
        'hpvit_mm': lambda: os.path.dirname(os.path.abspath(
            hpvit_mm.__file__)),
    }


def report(out=sys.stdout):
    """Import every component, print its line, return the names that fail."""
    prepare()
    notes, failed = _notes(), []
    for component, version in versions().items():
        note = ''
        try:
            if component in COMPONENTS:
                importlib.import_module(COMPONENTS[component][1])
            if version is None:
                raise ImportError('not installed')
            if component in notes:
                note = f'  ({notes[component]()})'
        except Exception as error:  # whatever an import may raise
            failed.append(component)
            text = ' '.join(str(error).split()) or type(error).__name__
            note = f'  FAILS: {text}'
        print(f'{component:15} {version or "-"}{note}', file=out, flush=True)
    return failed


def main():
    try:
        check_stack()
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 1 if report() else 0


if __name__ == '__main__':
    sys.exit(main())
