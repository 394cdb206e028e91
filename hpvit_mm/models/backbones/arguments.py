"""Checks of the arguments of the backbones."""
from numbers import Integral
from typing import Any, Dict, Optional, Sequence, Tuple, Union

from torch import nn

from hpvit_mm.errors import UserError
from ..layers.norm import BATCH_NORMS, build_norm
from ..layers.token_layout import ATTENTION_KINDS

OUT_TYPES = ('featmap', 'avg_featmap')


def whole_numbers(name: str, value: Union[int, Sequence[int]],
                  least: Optional[int] = None) -> Tuple[int, ...]:
    """Return one number or several, of at least ``least``."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    numbers = tuple(value) if several else (value, )
    if not all(map(is_whole, numbers)):
        raise UserError(f'{name} must be whole numbers, but it is {value!r}.')
    if least is not None and min(numbers, default=least) < least:
        raise UserError(f'{name} must be at least {least}, but it is '
                        f'{value}.')
    return tuple(map(int, numbers))


def whole_number(name: str, value: int, least: int) -> int:
    """Return one number of at least ``least``."""
    if not is_whole(value):
        raise UserError(f'{name} must be a whole number, but it is '
                        f'{value!r}.')
    return whole_numbers(name, value, least)[0]


def is_whole(value: Any) -> bool:
    """Return whether a value is an integer, of NumPy too."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def pair(name: str, value: Union[int, Sequence[int]]) -> Tuple[int, int]:
    """Return (height, width) of one number or two."""
    sides = whole_numbers(name, value, 1)
    if len(sides) != 2 and not is_whole(value):
        raise UserError(f'{name} must be a number or (height, width), but it '
                        f'is {value}.')
    return sides[0], sides[-1]


def check_rate(name: str, value: float) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise UserError(f'{name} must be from 0 to less than 1, but it is '
                        f'{value!r}.')


def check_norm(norm_cfg: dict, embed_dims: int) -> None:
    try:
        if 'type' not in norm_cfg:
            raise TypeError('no type')
        norm = build_norm(norm_cfg, embed_dims)
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(f'norm_cfg={norm_cfg!r} builds no norm ({error}): '
                        "give a dict such as dict(type='LN', eps=1e-6)."
                        ) from error
    if (isinstance(norm, (*BATCH_NORMS, nn.InstanceNorm1d, nn.InstanceNorm2d,
                          nn.InstanceNorm3d, nn.GroupNorm))
            # ours, and those of the libraries
            or type(norm).__name__ == 'LayerNorm2d'):
        raise UserError(
            f'norm_cfg has type {norm_cfg["type"]!r}, which normalises maps: '
            "tokens need one of their last dimension, as 'LN'.")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UserError(f'{name} must be one of {tuple(choices)}, but it is '
                        f'{value!r}.')


def check_stage_depths(depths: Optional[Sequence[int]], num_layers: int,
                       is_plain: bool) -> Tuple[int, ...]:
    if depths is None:
        if is_plain:
            return (num_layers, )
        if num_layers < 7:
            raise UserError(
                f'arch has num_layers={num_layers}, for which there are no '
                'default stage_depths: give stage_depths that sum to it.')
        return 2, 2, num_layers - 6, 2
    depths = whole_numbers('stage_depths', depths)
    if not depths or min(depths) < 0 or sum(depths) != num_layers:
        raise UserError(
            f'stage_depths={depths} must be numbers of blocks that sum to '
            f'num_layers={num_layers} of arch, but they sum to '
            f'{sum(depths)}.')
    return depths


def check_out_indices(indices: Union[int, Sequence[int], None],
                       out_type: str, num_stages: int) -> Tuple[int, ...]:
    if indices is None:
        every = tuple(range(num_stages))
        return every if out_type == 'featmap' else every[-1:]
    return check_ascending('out_indices', indices, 'stage', num_stages,
                            'stage_depths')


def check_ascending(name: str, numbers: Union[int, Sequence[int]],
                     what: str, count: int, where: str) -> Tuple[int, ...]:
    """Return positive numbers of outputs."""
    given = whole_numbers(name, numbers)
    positive = tuple(i + count if i < 0 else i for i in given)
    if not positive or list(positive) != sorted(set(positive)) or not (
            0 <= positive[0] and positive[-1] < count):
        raise UserError(
            f'{name}={given} must be ascending {what}s from 0 to '
            f'{count - 1} (or -{count} to -1): {where} has {count}.')
    return positive


def check_attention(attention: Union[str, Sequence, None],
                     depths: Tuple[int, ...], strides: Tuple[int, ...],
                     patch_size: int) -> Tuple[Tuple[str, ...], ...]:
    """One kind of attention per block, nested by stage."""
    if attention is None:
        attention = [
            'dilated' if stride < patch_size else 'global'
            for stride in strides
        ]
    elif isinstance(attention, str):
        attention = [attention] * len(depths)
    elif not isinstance(attention, (list, tuple)):
        raise UserError('attention must be a name, or one entry per stage, '
                        f'but it is {attention!r}.')
    if len(attention) != len(depths):
        raise UserError(
            f'attention has {len(attention)} entries, but stage_depths has '
            f'{len(depths)} stages: give one entry per stage.')
    kinds = []
    for s, (stage, depth) in enumerate(zip(attention, depths)):
        if not isinstance(stage, (str, list, tuple)):
            raise UserError(f'attention[{s}] must be a name, or one per '
                            f'block, but it is {stage!r}.')
        stage = (stage, ) * depth if isinstance(stage, str) else tuple(stage)
        if len(stage) != depth:
            raise UserError(
                f'attention[{s}] has {len(stage)} entries, but stage {s} has '
                f'{depth} blocks: give one word, or one per block.')
        for kind in stage:
            check_choice(f'attention[{s}]', kind, ATTENTION_KINDS)
        if 'dilated' in stage and strides[s] < patch_size and (
                patch_size % strides[s]):
            fitting = -(-patch_size // strides[-1]) * strides[-1] \
                if strides[-1] < patch_size else \
                -(-patch_size // strides[s]) * strides[s]
            raise UserError(
                f"attention[{s}]='dilated' needs a patch_size that is a "
                f'multiple of the stride {strides[s]} of stage {s}, but it '
                f'is {patch_size}: set patch_size={fitting}, to which the '
                f'kernel is resized, or patch_stride={patch_size} and one '
                "stage, or use 'window' or 'global'.")
        kinds.append(stage)
    return tuple(kinds)


def check_with_cp(with_cp: Union[bool, Sequence[bool]],
                   num_stages: int) -> Tuple[bool, ...]:
    if isinstance(with_cp, int):
        return (bool(with_cp), ) * num_stages
    if not isinstance(with_cp, (list, tuple)) or len(with_cp) != num_stages:
        raise UserError(
            f'with_cp={with_cp!r} does not fit the {num_stages} stages of '
            'stage_depths: give one value, or one per stage.')
    return tuple(with_cp)


def check_sizes(arch: Union[str, dict], archs: Dict[str, dict],
                stages: int) -> dict:
    """Return the entries of ``arch``, a name in ``archs`` or a dict."""
    if isinstance(arch, str):
        check_choice('arch', arch, tuple(archs))
        return archs[arch]
    keys = set(archs['base'])
    if not isinstance(arch, dict) or set(arch) != keys or len(
            arch['depths']) != stages or min(arch['depths']) < 1:
        raise UserError(
            f'arch must be one of {tuple(archs)} or a dict with exactly the '
            f'keys {sorted(keys)}, depths being {stages} numbers from 1 on, '
            f'but it is {arch}.')
    if arch['embed_dims'] % arch['num_heads']:
        raise UserError(
            f'embed_dims={arch["embed_dims"]} of arch must be a multiple of '
            f'num_heads={arch["num_heads"]}.')
    return dict(arch)
