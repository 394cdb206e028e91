"""Base class of the backbones: what the rest of the package asks of them."""
from operator import attrgetter
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from hpvit_mm.errors import UserError

if TYPE_CHECKING:
    from hpvit_mm.checkpoints import LoadReport


class Stage(NamedTuple):
    """Names of the modules of a stage, in the order of computation.

    Attributes:
        blocks: The blocks. Each has a depth of its own.
        pooling: Modules in front of the blocks, such as a pooling or a patch
            merging. They have the depth of the block before them.
        norms: Modules of the stage's outputs. They have the last depth.
    """
    blocks: Tuple[str, ...]
    pooling: Tuple[str, ...] = ()
    norms: Tuple[str, ...] = ()


class BaseBackbone(BaseModule):
    """A backbone that the trainer, the checks and the tools can work with.

    A subclass sets the attributes below in its constructor, calls
    :meth:`freeze` at the end of it, and implements :meth:`forward`. Freezing,
    layer decay, FSDP, compilation, cost tables and the loading of
    pre-trained weights follow. A subclass that can load more than its own
    checkpoints overrides :meth:`fit_checkpoint`, and :attr:`OPTIONS` with the
    arguments that it adds.

    Attributes:
        OPTIONS: What ``init_cfg`` may hold besides its type ``Pretrained``.
            The first two are those of the file, the others the keyword
            arguments of :meth:`fit_checkpoint`.
        block_classes: The classes of the blocks: each block is sharded,
            compiled and checkpointed as a unit.
        in_channels: Channels of the images.
        strides: Stride of each stage, in pixels.
        out_channels: Channels of each output.
        out_strides: Stride of each output, in pixels.
        stem: Names of the modules and parameters before the first block.
            They have depth 0.
        stages: The modules of each stage.
        no_decay: Names of parameters without weight decay, beside those of
            one dimension.
        frozen_stages: -1 freezes nothing, 0 the stem, n also the first n
            stages.
    """
    OPTIONS: Tuple[str, ...] = ('checkpoint', 'sha256')
    block_classes: Tuple[type, ...] = ()
    in_channels: int
    strides: Tuple[int, ...]
    out_channels: Tuple[int, ...]
    out_strides: Tuple[int, ...]
    stem: Tuple[str, ...]
    stages: Tuple[Stage, ...]
    no_decay: Tuple[str, ...] = ()
    frozen_stages: int = -1

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Compute the features of images.

        A backbone for masked pre-training also takes ``mask:
        Optional[Tensor] = None`` of shape (B, H / mask_unit, W / mask_unit),
        True where a unit is hidden, and computes the visible units alone:
        (B, V, tokens per unit, C) per output. It has the attribute
        ``mask_unit``, in pixels, and the method ``check_mask(x)``. No other
        argument is to be added.

        Args:
            x: Images of shape (B, in_channels, H, W).

        Returns:
            One tensor per output: a map (B, C, H / stride, W / stride) or a
            vector (B, C).
        """
        raise NotImplementedError

    def check_images(self, x: Tensor) -> None:
        """Raise a UserError if ``x`` is not a batch of images."""
        if x.dim() != 4:
            raise UserError(
                f'{type(self).__name__} takes images of shape (B, '
                f'{self.in_channels}, H, W), but got {tuple(x.shape)}: add '
                'the missing dimensions, such as that of the batch.')
        if min(x.shape[-2:]) < 1:
            raise UserError(f'the images have no pixels, {tuple(x.shape)}: '
                            'correct their resizing.')
        if not x.is_floating_point():
            raise UserError(f'the images are of type {x.dtype}: normalise '
                            'them first (data_preprocessor).')
        if x.shape[1] != self.in_channels:
            raise UserError(
                f'the images have {x.shape[1]} channels, but the backbone '
                f'has in_channels={self.in_channels}: load the images as the '
                'backbone expects them, or set in_channels.')

    # ------------------------------------------- freezing and layer decay

    def freeze(self) -> None:
        """Stop the training of the first ``frozen_stages`` stages.

        Raises:
            UserError: If there are not so many stages.
        """
        if not isinstance(self.frozen_stages, int) or \
                not -1 <= self.frozen_stages <= len(self.strides):
            raise UserError(
                f'frozen_stages must be from -1 to {len(self.strides)}, the '
                f'number of stages, but it is {self.frozen_stages!r}.')
        for part in self._frozen():
            part.requires_grad_(False)

    def _frozen(self) -> List:
        """Modules and parameters that are frozen."""
        if self.frozen_stages < 0:
            return []
        names = list(self.stem)
        for stage in self.stages[:self.frozen_stages]:
            names += stage.pooling + stage.blocks + stage.norms
        return [attrgetter(name)(self) for name in names]

    def train(self, mode: bool = True) -> 'BaseBackbone':
        """Set the mode of all but the frozen modules, which stay in eval."""
        super().train(mode)
        for part in self._frozen():
            if isinstance(part, nn.Module):
                part.eval()
        return self

    def get_layer_depth(self, param_name: str,
                        prefix: str = '') -> Tuple[int, int]:
        """Return the depth of a parameter, for layer-wise learning rates.

        As in MAE's fine-tuning: the stem has depth 0, block i has depth
        i + 1, and the rest (output norms and heads, which are new) has the
        last depth.

        Args:
            param_name: Name of the parameter.
            prefix: What precedes the backbone's own names, with its dot.
                Defaults to ''.

        Returns:
            The depth, and the number of depths.
        """
        depths = dict.fromkeys(self.stem, 0)
        last = 0
        for stage in self.stages:
            depths.update(dict.fromkeys(stage.pooling, last))
            for block in stage.blocks:
                last += 1
                depths[block] = last
        if param_name.startswith(prefix):
            name = param_name[len(prefix):] + '.'
            for part, depth in depths.items():
                if name.startswith(part + '.'):
                    return depth, last + 2
        return last + 1, last + 2

    def no_weight_decay(self) -> Tuple[str, ...]:
        """Names of parameters of two or more dimensions without decay."""
        return self.no_decay

    # ------------------------------------------------ pre-trained weights

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, whole or not at all.

        Raises:
            UserError: If it cannot be read, or does not fit.
        """
        options = self._pretrained_options()
        if options is None:
            super().init_weights()
            return
        from hpvit_mm.checkpoints import load_pretrained
        print_log(str(load_pretrained(self, **options)), logger='current')
        self._is_init = True

    def check_pretrained(self) -> None:
        """Check that a local checkpoint of ``init_cfg`` fits.

        The parameters of the backbone need no values, so that this takes
        almost no time or memory. A URL is left to :meth:`init_weights`.

        Raises:
            UserError: As in :meth:`init_weights`.
        """
        options = self._pretrained_options()
        if options is not None and '://' not in options['checkpoint']:
            from hpvit_mm.checkpoints import fit_pretrained
            fit_pretrained(self, **options)

    def fit_checkpoint(self, content: dict, source: str
                       ) -> Tuple[Dict[str, Tensor], 'LoadReport']:
        """Adapt the tensors of a checkpoint to this backbone; load nothing.

        Here they have the names and the shapes of the backbone's own, alone
        or behind ``backbone.``.

        Args:
            content: What the file holds: tensors, alone or in an entry such
                as ``state_dict``.
            source: Its name, for messages.

        Returns:
            Tensors by the backbone's names, and the report.

        Raises:
            UserError: If a tensor is missing, of another shape, or of a part
                that the backbone lacks.
        """
        # Imported here, because that package imports this one.
        from hpvit_mm.checkpoints.by_name import fit_by_name
        return fit_by_name(self, content, source)

    def _pretrained_options(self) -> Optional[dict]:
        """The entries of ``init_cfg``; None if it names no checkpoint."""
        cfg = self.init_cfg
        if not (isinstance(cfg, dict) and cfg.get('type') == 'Pretrained'):
            return None
        options = {key: value for key, value in cfg.items() if key != 'type'}
        unknown = sorted(set(options) - set(self.OPTIONS))
        if unknown or not options.get('checkpoint'):
            what = f'no entry {unknown[0]}' if unknown else 'no checkpoint'
            raise UserError(
                f'init_cfg of {type(self).__name__} has {what}: its entries '
                f'are type, {", ".join(self.OPTIONS)}.')
        return options
