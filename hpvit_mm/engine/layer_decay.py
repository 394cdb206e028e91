"""Layer-wise learning rate decay, for all three host libraries."""
import re
from collections import defaultdict
from typing import List, Optional, Tuple

from mmengine.dist import master_only
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.optim import Optimizer

from hpvit_mm.errors import UserError
from hpvit_mm.registry import OPTIM_WRAPPER_CONSTRUCTORS

# Prefixes that torch's wrappers of submodules put into parameter names.
WRAPPERS = re.compile(r'_(fsdp|checkpoint)_wrapped_module\.')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Smaller learning rates for the early layers of the backbone.

    A parameter of depth d out of n gets ``lr * layer_decay_rate ** (n - 1 -
    d)`` (ELECTRA; MAE's ``lr_decay.py``): heads and necks get the full rate,
    the embeddings the smallest. The depth comes from
    ``model.backbone.get_layer_depth(name, prefix)``, so that one constructor
    serves classifiers, detectors and segmentors, and mmpretrain's backbones
    as well as ours. Parameters are grouped by (depth, decay), so that the
    optimizer handles a few dozen groups; the constructors of mmengine 0.10.7
    and mmpretrain 1.2.0 make one per parameter, with which ``fused=True`` is
    half as fast. A resumed run takes ``fused`` and ``foreach`` from its
    config, not from the checkpoint.

    Args:
        optim_wrapper_cfg: The optimizer wrapper with its optimizer.
        paramwise_cfg: A dict of

            - **layer_decay_rate** (float): The rate, from 0 to 1. Required.
            - **flat_decay_mult** (float): Factor on the weight decay of
              parameters of one dimension (norms, biases) and of those in
              ``backbone.no_weight_decay()``. Defaults to 0, as in MAE.
            - **custom_keys** (dict): From a part of a parameter's name to a
              dict of ``lr_mult`` and ``decay_mult``. They multiply the
              above; of several matches the longest counts.

    Raises:
        UserError: For an unknown key, a rate out of range, or a backbone
            without ``get_layer_depth``.
    """

    KEYS = ('layer_decay_rate', 'flat_decay_mult', 'custom_keys')
    CUSTOM_KEYS = ('lr_mult', 'decay_mult')

    def __init__(self, optim_wrapper_cfg: dict,
                 paramwise_cfg: Optional[dict] = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        _check_keys('paramwise_cfg', paramwise_cfg, self.KEYS)
        rate = paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise UserError('paramwise_cfg needs a layer_decay_rate above 0 '
                            f'and at most 1, but it is {rate}.')
        for pattern, mults in paramwise_cfg.get('custom_keys', {}).items():
            _check_keys(f"paramwise_cfg.custom_keys['{pattern}']", mults,
                        self.CUSTOM_KEYS)
        super().__init__(optim_wrapper_cfg, paramwise_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer, with the parameters of FSDP unsharded.

        Sharded ones are parts of flat vectors: all would be taken for
        parameters of one dimension.
        """
        with FSDP.summon_full_params(model, writeback=False):
            wrapper = super().__call__(model)
        wrapper.optimizer.register_load_state_dict_pre_hook(
            keep_implementation)
        return wrapper

    def add_params(self, params: List[dict], module: nn.Module,
                   **kwargs) -> None:
        """Add one group per depth, learning rate and weight decay."""
        backbone = getattr(module, 'backbone', None)
        if not hasattr(backbone, 'get_layer_depth'):
            raise UserError(
                'layer decay needs a model.backbone with the method '
                f'get_layer_depth, but it is {type(backbone).__name__}: '
                'remove the constructor from optim_wrapper, or use another '
                'backbone.')
        no_decay = {
            f'backbone.{name}'
            for name in getattr(backbone, 'no_weight_decay', tuple)()
        }
        rate = self.paramwise_cfg['layer_decay_rate']
        flat_mult = self.paramwise_cfg.get('flat_decay_mult', 0.)
        base_decay = self.base_wd or 0.

        groups = defaultdict(list)
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            name = WRAPPERS.sub('', name)
            depth, num_depths = backbone.get_layer_depth(name, 'backbone.')
            lr_mult, decay_mult = self._custom_mults(name)
            if param.ndim <= 1 or name in no_decay:
                decay_mult *= flat_mult
            lr_scale = rate**(num_depths - 1 - depth) * lr_mult
            groups[depth, lr_scale, base_decay * decay_mult].append(param)
        for (depth, lr_scale, decay), members in sorted(
                groups.items(), key=lambda item: item[0]):
            params.append(
                dict(params=members, lr=self.base_lr * lr_scale,
                     weight_decay=decay, lr_scale=lr_scale, depth=depth))
        _log_groups(params, rate)

    def _custom_mults(self, name: str) -> Tuple[float, float]:
        """Return the factors on learning rate and decay of a parameter."""
        custom_keys = self.paramwise_cfg.get('custom_keys', {})
        matches = [pattern for pattern in custom_keys if pattern in name]
        mults = custom_keys[max(matches, key=len)] if matches else {}
        return mults.get('lr_mult', 1.), mults.get('decay_mult', 1.)


def keep_implementation(optimizer: Optimizer, state_dict: dict) -> dict:
    """Keep the optimizer's own ``fused`` and ``foreach`` on loading a state.

    torch 2.13 takes them from the state, and a GradScaler that was set up for
    a fused optimizer then meets another.
    """
    groups = [
        dict(saved, **{key: own[key] for key in ('fused', 'foreach')
                       if key in own})
        for saved, own in zip(state_dict['param_groups'],
                              optimizer.param_groups)]
    groups += state_dict['param_groups'][len(groups):]  # torch will complain
    return dict(state_dict, param_groups=groups)


def _check_keys(where: str, given: dict, allowed: Tuple[str, ...]) -> None:
    unknown = sorted(set(given) - set(allowed))
    if unknown:
        raise UserError(f'{where} has the unknown key {unknown[0]!r}: allowed '
                        f'are {", ".join(allowed)}.')


@master_only
def _log_groups(groups: List[dict], rate: float) -> None:
    lines = [f'Layer-wise learning rate decay of {rate}, {len(groups)} '
             'groups (the log shows the rate of the first as lr, and the '
             'full rate as base_lr):',
             '  depth  lr scale    decay    tensors   parameters']
    for group in groups:
        members = group['params']
        lines.append(f'  {group["depth"]:5d}  {group["lr_scale"]:8.2e}  '
                     f'{group["weight_decay"]:7.2g}  {len(members):9d}  '
                     f'{sum(p.numel() for p in members):11,d}')
    print_log('\n'.join(lines), logger='current')
