"""What the installed stack needs: versions, checks, and workarounds.

Every workaround says why it exists and when it can go. This module imports
only the standard library, so that it costs nothing and runs anywhere, also
before anything is installed (``tools/setup_env.sh`` uses it from outside).

``python -m hpvit_mm.environment`` imports all that a complete environment
promises and prints one line per component.
"""
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
_COMPONENTS = {
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


def _version(distribution, path=None):
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
    for component, (distributions, _) in _COMPONENTS.items():
        result[component] = next(
            filter(None, map(_version, distributions)), None)
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
            if (version := _version(name, path)) is not None
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

# (message, category, module): warnings that the stacks print at import or
# while they build a model, and about which a user can do nothing. Matched
# exactly, so that no other warning is hidden.
_USELESS_WARNINGS = (
    # mmengine 0.10.7 and mmdet 3.3.0 import pkg_resources; requirements.txt
    # keeps a setuptools that still has it. Goes with the official stack.
    (r'pkg_resources is deprecated as an API', Warning),
    # mmengine hands DistributedDataParallel an argument that torch 2.13
    # renames.
    (r'`broadcast_buffers` is deprecated', FutureWarning),
    # mmengine's schedulers step every iteration, also while gradients are
    # accumulated or a step in mixed precision is skipped.
    (r'Detected call of `scheduler.step\(\)` before', UserWarning),
    # mmseg's own heads call its own deprecated function, and explain a
    # default of its own loss.
    (r'``build_loss`` would be deprecated soon', UserWarning),
    (r'Default ``avg_non_ignore`` is False', UserWarning),
)

# The same of the log: mmengine warns of its own use of its own deprecated
# functions, and mmseg's metric has no prefix by design.
_USELESS_LOG_LINES = (
    '"FileClient" will be deprecated in future',
    '"HardDiskBackend" is the alias of "LocalBackend"',
    'The prefix is not set in metric class IoUMetric',
)


def prepare():
    """Make the imports of the stack work and quiet; cheap and idempotent.

    Call it at the top of a script, outside of ``main``, before anything
    imports torchvision (mmpretrain, and through it mmdet and mmseg, do):
    processes that are spawned instead of forked run the top of the script
    again, and so are prepared as well.
    """
    for message, category in _USELESS_WARNINGS:
        # An identical filter is moved to the front, not added again.
        warnings.filterwarnings('ignore', message=message, category=category)
    if 'torchvision' not in sys.modules and not any(
            isinstance(finder, _BeforeTorchvision)
            for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeTorchvision())


def quiet(logger):
    """Keep useless lines out of a log; call it once per logger."""
    logger.addFilter(lambda record: not record.getMessage().startswith(
        _USELESS_LOG_LINES))


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Runs :func:`_define_torchvision_ops` when torchvision is imported.

    It finds nothing itself, and waits for the import, so that a program that
    does not need torchvision does not pay for it.
    """

    def find_spec(self, fullname, path=None, target=None):
        if fullname == 'torchvision':
            sys.meta_path.remove(self)
            _define_torchvision_ops()
        return None


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
            if component in _COMPONENTS:
                importlib.import_module(_COMPONENTS[component][1])
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
