"""UperNet with HPViT-B (conv pooling) from MAE's ViT-B on ADE20K.

Recipe    mmsegmentation's for MAE's ViT-B, see the schedule's file; windows of
          16 need no padding at 512 pixels
Command   bash tools/dist_train.sh \
              configs/ade20k/hpvit-base-conv-mae_upernet_8xb2-160k_ade20k-512x512.py 8 \
              --amp --amp-dtype bfloat16
Cost      (771 + 441 + 2,403) GFLOPs (backbone, heads, backward pass) x 16
          images x 160,000 iterations = 9.3 EFLOPs, 20.6 GPU hours at 125
          TFLOP/s in bf16; 5.9 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/ade20k_160k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    backbone=dict(
        window_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)))
