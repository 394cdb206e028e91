"""Versions, checks and workarounds of the installed stack.

Imports only the standard library: ``tools/setup_env.sh`` uses it before
anything is installed. ``python -m hpvit_mm.environment`` imports everything
that a complete environment has, and prints one line per component.
"""
import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
import warnings

from hpvit_mm.errors import UserError

# Both stacks have the same import names under different distributions.
STACKS = {
    'official': ('mmengine', 'mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain'),
    'onedl': ('onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection',
              'onedl-mmsegmentation', 'onedl-mmpretrain'),
}

OLDEST_TORCH = (2, 6)

# Component -> the distributions that may bring it, and the import that proves
# it works (the hosts' top packages import almost nothing; `apis` does).
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
    where = {} if path is None else dict(path=path)
    found = importlib.metadata.distributions(name=distribution, **where)
    return next((one.version for one in found), None)


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
    """The name of the installed stack.

    Raises:
        UserError: If none is installed, or both, which own the same folders:
            the second has overwritten the first; or if torch is too old.
    """
    torch = version_of('torch', path)
    if torch and tuple(map(int, re.findall(r'\d+', torch)[:2])) < OLDEST_TORCH:
        raise UserError(
            f'torch {torch} is too old: install {OLDEST_TORCH[0]}.'
            f'{OLDEST_TORCH[1]} or newer, before which torch.load executes '
            'code by default')
    found = installed_stacks(path)
    if all(found.values()):
        names = (', '.join(f'{k} {v}' for k, v in part.items())
                 for part in found.values())
        raise UserError(
            'the official packages ({}) and the onedl forks ({}) are '
            'installed in one environment and overwrite each other: delete '
            'that environment (rm -rf .venv) and make a new one with bash '
            'tools/setup_env.sh'.format(*names))
    for stack, part in found.items():
        if part:
            return stack
    raise UserError(
        'neither the OpenMMLab packages nor their onedl forks are installed '
        f'for {sys.executable}: run bash tools/setup_env.sh, and use the '
        'Python of the environment that it makes')


# --------------------------------------------------------------- workarounds

# Message and module (both must match) of warnings that the stack raises about
# itself; each goes with the version named.
_WARNINGS = (
    # mmengine 0.10.7 reads versions through pkg_resources; requirements.txt
    # keeps a setuptools that has it.
    (r'pkg_resources is deprecated as an API', r'mmengine\.|importlib'),
    # mmseg 1.2.2, about calls in its own heads, losses and hooks
    (r'``build_loss`` would be deprecated soon', r'mmseg\.models\.builder'),
    (r'Default ``avg_non_ignore`` is False', r'mmseg\.models\.losses'),
    (r'The draw is False, it means', r'mmseg\.engine\.hooks'),
    (r'When align_corners=True, the output', r'mmseg\.models\.utils'),
    # torch 2.13, about arguments and functions that mmengine 0.10.7 uses
    (r'`broadcast_buffers` is deprecated', r'mmengine\.model\.wrappers'),
    (r'FSDP\.state_dict_type\(\) and FSDP', r'mmengine\._strategy'),
    # mmengine 0.10.7 steps schedulers every iteration, also while gradients
    # are accumulated or mixed precision skips a step.
    (r'Detected call of `scheduler.step\(\)` before',
     r'mmengine\.optim\.scheduler'),
    # mmengine 0.10.7, about label maps of an augmented test, and what mmdet
    # draws at the border of an image
    (r'The shape of value will convert from', r'mmengine\.structures'),
    (r'Warning: The (bbox|polygon|text) is out of bounds',
     r'mmengine\.visualization'),
    # mmdet 3.3.0, about its mask head; onedl-mmdetection 3.5.1, about a
    # metric that no config here uses
    (r'To copy construct from a tensor', r'mmdet\.models\.roi_heads'),
    (r'faster_coco_eval is not installed',
     r'mmdet\.evaluation\.metrics\.faster_coco_metric'),
)
# The same in the log of the runner.
_LOG_LINES = (
    '"FileClient" will be deprecated in future',
    '"HardDiskBackend" is the alias of "LocalBackend"',
    'The prefix is not set in metric class IoUMetric',
)


def quiet(logger):
    """Drop these lines from a log; call it once per logger."""
    logger.addFilter(
        lambda record: not record.getMessage().startswith(_LOG_LINES))


def prepare():
    """Apply the workarounds; fast, and safe to call twice.

    Call it at the top of a script, outside of ``main``, so that processes
    that are spawned call it as well, and before anything imports torchvision
    (mmpretrain does, and mmdet and mmseg through it).
    """
    for message, module in _WARNINGS:
        # An identical filter is moved to the front, not added again.
        warnings.filterwarnings('ignore', message=message, module=module)
    for name, action in (('torchvision', _define_torchvision_ops),
                         ('mmpretrain.models', _fix_mmpretrain),
                         ('mmpretrain.datasets', _omit_multimodal)):
        waiting = (finder.package for finder in sys.meta_path
                   if isinstance(finder, _Before))
        if name not in sys.modules and name not in waiting:
            sys.meta_path.insert(0, _Before(name, action))


class _Before(importlib.abc.MetaPathFinder):
    """Calls a function before the first import of a package.

    It finds nothing itself. Programs that do not import the package do not
    pay for the workaround.
    """

    def __init__(self, package, action):
        self.package, self.action = package, action

    def find_spec(self, fullname, path=None, target=None):
        if fullname == self.package:
            sys.meta_path.remove(self)
            self.action()
        return None


def _omit_multimodal():
    """Keep mmpretrain from importing its models of images with text.

    Why: it imports them where transformers is installed, which fails from
    transformers 4.52 on ("NoneType takes no arguments"), in mmseg as well.
    Until: mmpretrain works with transformers 5.
    """
    from mmpretrain.utils import dependency
    dependency.WITH_MULTIMODAL = False


def _fix_mmpretrain():
    """Skip its multimodal models, and restore ``interp2d``, which it calls.

    Why: mmpretrain resizes tables of relative positions, of Swin and BEiT, by
    ``scipy.interpolate.interp2d``, which raises an error from SciPy 1.14 on.
    Until: mmpretrain uses what SciPy advises instead, as here.
    """
    _omit_multimodal()
    version = importlib.metadata.version('scipy').split('.') \
        if importlib.util.find_spec('scipy') else (0, 0)
    if tuple(map(int, version[:2])) < (1, 14):
        return
    from scipy import interpolate

    def interp2d(x, y, z, kind='cubic'):
        degree = min(dict(linear=1, cubic=3)[kind], len(x) - 1)
        spline = interpolate.RectBivariateSpline(x, y, z.T, kx=degree,
                                                 ky=degree)
        return lambda to_x, to_y: spline(to_x, to_y).T

    interpolate.interp2d = interp2d


_torchvision_library = None  # the definitions last as long as this object


def _define_torchvision_ops():
    """Declare torchvision's two ops where its extension cannot be loaded.

    Why: PyPI's torchvision is built for CUDA. Beside a CPU-only torch,
    ``import torchvision`` fails with "operator torchvision::nms does not
    exist". With the two schemas, everything written in Python works, which
    is all that the stack uses.
    Until: the index that has a CPU-only torch has the matching torchvision.
    """
    global _torchvision_library
    spec = importlib.util.find_spec('torchvision')
    if _torchvision_library is not None or spec is None:
        return
    import torch
    folder = spec.submodule_search_locations[0]
    try:  # as torchvision will; a second load of a library is free
        torch.ops.load_library(os.path.join(folder, '_C.so'))
    except OSError:
        _torchvision_library = torch.library.Library('torchvision', 'FRAGMENT')
        for name in ('nms', 'qnms'):
            _torchvision_library.define(
                f'{name}(Tensor dets, Tensor scores, float iou_threshold) '
                '-> Tensor')


# -------------------------------------------------------------------- report


def _mmcv_ops():
    """For which device mmcv's ops are built; raises if for the wrong one."""
    import torch
    from mmcv.ops import get_compiling_cuda_version
    cuda = get_compiling_cuda_version()
    if cuda != 'not available':
        return f'ops for CUDA {cuda}'
    force = os.environ.get('FORCE_CUDA')
    if force == '1' or (force != '0' and torch.cuda.is_available()):
        raise RuntimeError('its ops are built without CUDA')
    if torch.version.cuda:
        return f'ops for CPU only, torch for CUDA {torch.version.cuda}'
    return 'ops for CPU'


def report(out=sys.stdout):
    """Import every component, print its line, return the names that fail."""
    prepare()
    failed = []
    for component, version in versions().items():
        note = ''
        try:
            if component in COMPONENTS:
                module = importlib.import_module(COMPONENTS[component][1])
            if version is None:
                raise ImportError('not installed')
            if component == 'python':
                note = f'  ({sys.executable})'
            elif component == 'mmcv':
                note = f'  ({_mmcv_ops()})'
            elif component == 'hpvit_mm':
                note = f'  ({os.path.dirname(module.__file__)})'
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
