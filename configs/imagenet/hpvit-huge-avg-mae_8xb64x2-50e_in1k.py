"""HPViT-H with average pooling, fine-tuned on ImageNet-1K.

Recipe    that of the convolutional pooling, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/hpvit-huge-avg-mae_8xb64x2-50e_in1k.py 8 \
              --amp --amp-dtype bfloat16
Cost      (491 + 0.0026 + 975) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 50 epochs = 93.9 EFLOPs, 209 GPU hours at 125
          TFLOP/s in bf16; 47.0 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-huge-conv-mae_8xb64x2-50e_in1k.py'

model = dict(backbone=dict(pooling='avg'))
