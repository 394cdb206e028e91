"""HPViT-B with global attention at all resolutions, fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-global-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      6 x (101 + 0.00077) GFLOPs (backbone, heads) x 1,281,167 images x 100
          epochs = 77.7 EFLOPs, 173 GPU hours at 125 TFLOP/s; 32.5 GiB a GPU
          (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(attention='global'))
