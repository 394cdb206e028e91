"""UperNet on four blocks of DINOv3's frozen plain ViT-B on ADE20K.

Recipe    see the schedule: the tokens behind blocks 2, 5, 8 and 11, each with
          the last norm, and Feature2Pyramid.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-base-blocks-dinov3-frozen_upernet_8xb1-80k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (215 + 470 + 925) GFLOPs (backbone, heads, backward pass) x 8 images
          x 80,000 iterations = 1.0 EFLOPs, 2.3 GPU hours at 125 TFLOP/s in
          bf16; 1.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/backbones/dinov3-base.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_frozen-80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_stride=16,
        stage_depths=(12, ),
        out_blocks=(2, 5, 8, 11),
        drop_path_rate=0.,
        frozen_stages=1,
        **_base_.backbone),
    neck=dict(
        type='Feature2Pyramid', embed_dim=768, rescales=[4, 2, 1, 0.5]),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

train_dataloader = dict(batch_size=1)
