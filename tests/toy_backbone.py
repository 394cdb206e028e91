"""A second backbone, to test what holds for any: two stages, no attention."""
import torch
from torch import nn

from hpvit_mm.models import BaseBackbone, Stage
from hpvit_mm.registry import MODELS


class ToyBlock(nn.Sequential):

    def __init__(self, dims):
        super().__init__(nn.Conv2d(dims, dims, 3, padding=1), nn.GELU())

    def forward(self, x):
        return x + super().forward(x)


@MODELS.register_module()
class ToyBackbone(BaseBackbone):
    block_classes = (ToyBlock, )

    def __init__(self, dims=8, frozen_stages=-1, init_cfg=None):
        super().__init__(init_cfg)
        self.in_channels, self.strides = 3, (4, 8)
        self.out_channels, self.frozen_stages = (dims, ), frozen_stages
        self.out_strides = (8, )
        self.embed = nn.Sequential(
            nn.Conv2d(3, dims, 4, stride=4), nn.BatchNorm2d(dims))
        self.scale = nn.Parameter(torch.ones(1, dims, 1, 1))
        self.layers = nn.ModuleList(ToyBlock(dims) for _ in range(3))
        self.merge = nn.Conv2d(dims, dims, 2, stride=2)
        self.out_norm = nn.GroupNorm(1, dims)
        self.stem, self.no_decay = ('embed', 'scale'), ('scale', )
        self.stages = (
            Stage(blocks=('layers.0', )),
            Stage(pooling=('merge', ), blocks=('layers.1', 'layers.2'),
                  norms=('out_norm', )))
        self.freeze()

    def forward(self, x):
        self.check_images(x)
        x = self.layers[0](self.embed(x) * self.scale)
        x = self.layers[2](self.layers[1](self.merge(x)))
        return (self.out_norm(x), )
