"""HPViT-B with windows at 1/4 and 1/8, fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-window-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (71.4 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x
          100 epochs = 54.9 EFLOPs, 122 GPU hours at 125 TFLOP/s; 32.5 GiB a
          GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(
    backbone=dict(attention=('window', 'window', 'global', 'global')))
