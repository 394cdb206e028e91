"""HPViT-B with global attention at all resolutions, fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-global-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(attention='global'))
