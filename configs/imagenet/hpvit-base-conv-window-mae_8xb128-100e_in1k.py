"""HPViT-B with windows at 1/4 and 1/8, fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-window-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (143 + 0.0015 + 282) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 54.4 EFLOPs, 121 GPU hours at 125
          TFLOP/s in bf16; 32.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(
    backbone=dict(attention=('window', 'window', 'global', 'global')))
