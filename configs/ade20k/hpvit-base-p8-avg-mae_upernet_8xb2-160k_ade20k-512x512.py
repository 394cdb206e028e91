"""UperNet with finer patches of MAE's ViT-B, pooled at half depth, on ADE20K.

Recipe    that of HPViT. Patches of 8 pixels, whose kernel is shrunk by
          'enlarge', six blocks at 1/8 and six at 1/16. With a frozen
          DINOv2-like ViT-S on CamVid this was better than patches of 16 every
          4 pixels, and the plain network at 1.5 times the input was better
          still, for less (docs/study.md).
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-p8-avg-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (765 + 159 + 1,846) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 7.1 EFLOPs, 15.8 GPU hours at 125
          TFLOP/s in bf16; 4.3 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = './hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        pooling='avg',
        img_size=112,  # 14 patches, the grid of the checkpoint
        patch_size=8,
        patch_stride=8,
        stage_depths=(6, 6),
        out_blocks=(2, 5, 8, 11),
        init_cfg=dict(patch_resize='enlarge')))
