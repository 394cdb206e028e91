"""HPViT-B with global attention at all resolutions, fine-tuned on ImageNet-1K.

Recipe    that of the default HPViT-B, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-base-conv-global-mae_8xb128-100e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (202 + 0.0015 + 401) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 77.3 EFLOPs, 172 GPU hours at 125
          TFLOP/s in bf16; 32.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb128-100e_in1k.py'

model = dict(backbone=dict(attention='global'))
