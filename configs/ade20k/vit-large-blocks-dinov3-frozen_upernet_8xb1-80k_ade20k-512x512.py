"""UperNet on four blocks of DINOv3's frozen plain ViT-L on ADE20K.

Recipe    see the schedule: the tokens behind blocks 7, 11, 15 and 23, each
          with the last norm, and Feature2Pyramid.
Command   bash tools/dist_train.sh \
              configs/ade20k/vit-large-blocks-dinov3-frozen_upernet_8xb1-80k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (727 + 500 + 976) GFLOPs (backbone, heads, backward pass) x 8 images
          x 80,000 iterations = 1.4 EFLOPs, 3.1 GPU hours at 125 TFLOP/s in
          bf16; 2.5 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained; dinov3_geo publishes 52.65 mIoU, trained in float16
"""
_base_ = [
    '../_base_/backbones/dinov3-large.py',
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_frozen-80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=_base_.normalization,
    backbone=dict(
        patch_stride=16,
        stage_depths=(24, ),
        out_blocks=(7, 11, 15, 23),
        drop_path_rate=0.,
        frozen_stages=1,
        **_base_.backbone),
    neck=dict(
        type='Feature2Pyramid', embed_dim=1024, rescales=[4, 2, 1, 0.5]),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))

train_dataloader = dict(batch_size=1)
