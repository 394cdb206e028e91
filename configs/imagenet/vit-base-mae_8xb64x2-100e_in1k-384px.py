"""The plain ViT-B at 384 pixels under HPViT-B's recipe: the baseline.

Recipe    that of HPViT, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_8xb64x2-100e_in1k-384px.py 8 \
              --amp --amp-dtype bfloat16
Cost      (108 + 0.0015 + 215) GFLOPs (backbone, heads, backward pass) x
          1,281,167 images x 100 epochs = 41.4 EFLOPs, 92.1 GPU hours at 125
          TFLOP/s in bf16; 13.6 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb64x2-100e_in1k-384px.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
