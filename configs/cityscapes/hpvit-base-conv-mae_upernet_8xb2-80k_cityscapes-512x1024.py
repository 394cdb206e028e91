"""UperNet with HPViT-B (conv pooling) from MAE's ViT-B on Cityscapes.

Recipe    that of ADE20K with 80,000 iterations, see the schedule's file;
          windows of 16 need no padding at 512 x 1024 pixels
Command   bash tools/dist_train.sh \
              configs/cityscapes/hpvit-base-conv-mae_upernet_8xb2-80k_cityscapes-512x1024.py 8 \
              --amp --amp-dtype bfloat16
Cost      (1,581 + 876 + 4,876) GFLOPs (backbone, heads, backward pass) x 16
          images x 80,000 iterations = 9.4 EFLOPs, 20.9 GPU hours at 125
          TFLOP/s in bf16; 9.2 GiB a GPU (tools/model_zoo.py; not measured)
Result    not yet trained
"""
_base_ = [
    '../_base_/models/upernet_hpvit.py',
    '../_base_/datasets/cityscapes_512x1024.py',
    '../_base_/schedules/cityscapes_80k.py',
    '../_base_/default_runtime/mmseg.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024)),
    backbone=dict(
        window_size=16,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/mae/pretrain/'
            'mae_pretrain_vit_base.pth')),
    decode_head=dict(num_classes=19),
    auxiliary_head=dict(num_classes=19),
    test_cfg=dict(mode='slide', crop_size=(512, 1024), stride=(341, 683)))
