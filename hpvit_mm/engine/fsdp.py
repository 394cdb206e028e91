"""Models whose parameters are shared out among the processes."""
from functools import partial
from typing import Optional, Union

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.fsdp import OptimStateKeyType
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

from hpvit_mm.models.layers import Block
from hpvit_mm.registry import STRATEGIES


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """mmengine's FSDPStrategy, block by block and with today's torch.

    A process holds all parameters of one block at a time, and its share of
    the others. Checkpoints are those of any other run, and so are the
    gradients' norm and the optimizer's groups.

    Args:
        model_wrapper: Arguments of mmengine's MMFullyShardedDataParallel,
            such as ``dict(sharding_strategy='SHARD_GRAD_OP')``. Defaults to
            None.
        state_dict_cfg: As in mmengine. Defaults to 'full': the first process
            writes the whole model. tools/train.py refuses others, because it
            resumes from whole ones only.
        kwargs: As in mmengine.
    """

    def __init__(self, *, model_wrapper: Optional[dict] = None,
                 state_dict_cfg: Union[str, dict] = 'full',
                 **kwargs) -> None:
        defaults = dict(
            type='MMFullyShardedDataParallel',
            auto_wrap_policy=partial(
                transformer_auto_wrap_policy, transformer_layer_cls={Block}))
        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            defaults['device_id'] = torch.device('cpu')
        super().__init__(
            model_wrapper=dict(defaults, **(model_wrapper or {})),
            state_dict_cfg=state_dict_cfg, **kwargs)
        if on_cpu and self._is_full_state_dict():
            # torch 2.13 frees what it moved to the CPU, also if it was there
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False

    def build_optim_wrapper(self, optim_wrapper: Union[OptimWrapper, dict],
                            model: nn.Module) -> OptimWrapper:
        """As in mmengine, but clip by the norm of all processes' shares."""
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(wrapper, 'clip_func', None) is nn.utils.clip_grad_norm_:
            wrapper.clip_func = lambda params, **options: \
                model.clip_grad_norm_(**options)
        return wrapper

    def optim_state_dict(self) -> dict:
        """As in mmengine, with the settings behind base_lr, lost there."""
        return dict(
            super().optim_state_dict(),
            base_param_settings=self.optim_wrapper.base_param_settings)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """As in mmengine 0.10.7, but in torch's present order of arguments.

        Of a run without FSDP, too, which numbers the parameters.
        """
        settings = state_dict.pop('base_param_settings', None)
        optimizer = self.optim_wrapper.optimizer
        if isinstance(state_dict['param_groups'][0]['params'][0], int):
            state_dict = FSDP.rekey_optim_state_dict(
                state_dict, OptimStateKeyType.PARAM_NAME, self.model,
                optim=optimizer)
        state_dict = FSDP.optim_state_dict_to_load(
            self.model, optimizer, state_dict)
        self.optim_wrapper.load_state_dict(
            dict(state_dict, base_param_settings=settings))
