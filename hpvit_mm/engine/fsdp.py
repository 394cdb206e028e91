"""Training with sharded parameters (FSDP)."""
from typing import Optional, Union

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel as FSDP
from torch.distributed.fsdp import OptimStateKeyType
from torch.distributed.fsdp.wrap import ModuleWrapPolicy

from hpvit_mm.models import BaseBackbone
from hpvit_mm.registry import STRATEGIES


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """mmengine's FSDPStrategy for backbones of this package and torch 2.6 on.

    Each block of the backbone is an FSDP unit: a process gathers the
    parameters of one block at a time. Checkpoints, the gradient norm and the
    optimizer's groups are those of a run without FSDP.

    Args:
        model_wrapper: Arguments of mmengine's MMFullyShardedDataParallel,
            such as ``dict(sharding_strategy='SHARD_GRAD_OP')``. Defaults to
            None.
        state_dict_cfg: As in mmengine. Defaults to 'full': the first process
            writes the whole model. tools/train.py refuses others, because it
            resumes from full checkpoints only.
        kwargs: As in mmengine.
    """

    def __init__(self, *, model_wrapper: Optional[dict] = None,
                 state_dict_cfg: Union[str, dict] = 'full',
                 **kwargs) -> None:
        defaults = dict(type='MMFullyShardedDataParallel')
        on_cpu = not torch.cuda.is_available()
        if on_cpu:
            defaults['device_id'] = torch.device('cpu')
        super().__init__(
            model_wrapper=dict(defaults, **(model_wrapper or {})),
            state_dict_cfg=state_dict_cfg, **kwargs)
        if on_cpu and self._is_full_state_dict():
            # torch 2.13 frees what it moved to the CPU, even if it was there.
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False

    def build_model(self, model: Union[nn.Module, dict]) -> nn.Module:
        """Build the model, and find its blocks for the wrapping."""
        model = super().build_model(model)
        classes = {
            cls for module in model.modules()
            if isinstance(module, BaseBackbone)
            for cls in module.block_classes
        }
        self.model_wrapper.setdefault('auto_wrap_policy',
                                      ModuleWrapPolicy(classes))
        return model

    def load_checkpoint(self, filename: str, **kwargs) -> dict:
        """Load a checkpoint to the CPU.

        A resumed run would ask for the GPU, on which each process would hold
        the full model and optimizer state beside its shards.
        """
        return super().load_checkpoint(
            filename, **dict(kwargs, map_location='cpu'))

    def build_optim_wrapper(self, optim_wrapper: Union[OptimWrapper, dict],
                            model: nn.Module) -> OptimWrapper:
        """As in mmengine, but clip by the norm of all shards."""
        wrapper = super().build_optim_wrapper(optim_wrapper, model)
        if getattr(wrapper, 'clip_func', None) is nn.utils.clip_grad_norm_:
            wrapper.clip_func = lambda params, **options: \
                model.clip_grad_norm_(**options)
        return wrapper

    def optim_state_dict(self) -> dict:
        """As in mmengine, with ``base_param_settings``, which it drops."""
        return dict(
            super().optim_state_dict(),
            base_param_settings=self.optim_wrapper.base_param_settings)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer state of a run with or without FSDP.

        mmengine 0.10.7 passes the arguments of ``optim_state_dict_to_load``
        in the order of torch 2.0. Without FSDP parameters are numbered
        instead of named.
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
