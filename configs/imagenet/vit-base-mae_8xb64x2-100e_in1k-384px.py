"""The plain ViT-B at 384 pixels under HPViT-B's recipe: the baseline.

Recipe    that of HPViT, from which it inherits
Command   bash tools/dist_train.sh \
              configs/imagenet/vit-base-mae_8xb64x2-100e_in1k-384px.py 8 \
              --amp --amp-dtype bfloat16
Cost      see tools/model_zoo.py
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_8xb64x2-100e_in1k-384px.py'

model = dict(backbone=dict(patch_stride=16, stage_depths=(12, )))
