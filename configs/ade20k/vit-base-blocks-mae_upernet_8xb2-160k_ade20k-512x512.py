"""UperNet with the plain ViT-B, on the tokens behind four blocks.

Recipe    mmsegmentation's for MAE (configs/mae): blocks 3, 5, 7 and 11,
          Feature2Pyramid, a head of 768 channels. Its network has relative positions and LayerScale too, which MAE's
          weights lack; data and schedule are those of HPViT.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-blocks-mae_upernet_8xb2-160k_ade20k-512x512.py \
              8 --amp --amp-dtype bfloat16
Cost      (214 + 1,000 + 2,426) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.3 EFLOPs, 20.7 GPU hours at 125
          TFLOP/s in bf16; 4.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; mmsegmentation publishes 48.13 mIoU
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        attention='global',
        out_blocks=(3, 5, 7, 11)),
    neck=dict(
        type='Feature2Pyramid', embed_dim=768, rescales=[4, 2, 1, 0.5]),
    decode_head=dict(channels=768))
